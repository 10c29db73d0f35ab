"""The operations of a training step of a BERT, by formula: what the shares of the peak count."""


def training_flops(
    *, n_clips: int, n_positions: int, n_layers: int, hidden: int, intermediate: int, n_classes: int
) -> int:
    """Return the operations of the matrix products of a forward and a backward pass.

    A multiplication and an addition count as two. In a layer each position goes through four products with a
    matrix of H x H (query, key, value, output) and two of H x I, and its attention takes two products with
    the H values of every position. The backward pass has two products for each of the forward pass: for the
    gradient of the weights, and for that of the inputs. Embeddings, norms and activations are left out, as
    usual (J. Kaplan et al., "Scaling Laws for Neural Language Models", 2020).

    Args:
        n_clips: In a batch.
        n_positions: Of a clip, [CLS] included.
        n_layers: Transformer layers.
        hidden: Width of a position, H.
        intermediate: Width of a layer's inner product, I.
        n_classes: Logits.
    """
    of_a_position = n_layers * (4 * hidden**2 + 2 * hidden * intermediate + 2 * n_positions * hidden)
    forward = 2 * n_clips * (n_positions * of_a_position + hidden * n_classes)
    return 3 * forward
