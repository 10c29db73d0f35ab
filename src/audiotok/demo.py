"""`audiotok demo`: a page on which people try a finished run with sounds of their own.

Sounds are dropped, chosen or recorded; the page shows which classes are heard when, the spectrogram, and the
tokens of the first window. It is served on this machine alone unless `--host` says otherwise. Sounds stay
here: they lie in a temporary folder that is emptied when the page ends. Nothing is reported, no link is
shared, and the browser is told to fetch nothing from anywhere else.
"""

import os
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiotok.errors import UserError
from audiotok.run.trained import find_trained

if TYPE_CHECKING:
    from audiotok.prediction.tagger import TrainedRun

_POLICY = (  # of the browser: this page and nothing else
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'self'; frame-ancestors 'self'"
)
_TOP = 5  # classes that are named
_AT_ONCE = 8  # sounds that may wait
_HEARD = ["class", "from, s", "to, s", "score"]
_TOKENS_SIZE = 1000, 240  # px
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Demo:
    """The page of one run, from `start` to `close`.

    Args:
        run: The finished run.
        name: What it is called.
    """

    def __init__(self, run: "TrainedRun", name: str) -> None:
        self.run = run
        self._uploads = tempfile.TemporaryDirectory(prefix="audiotok-demo-")
        os.environ["GRADIO_TEMP_DIR"] = self._uploads.name
        self._page = self._build(name)

    def start(self, host: str = "127.0.0.1", port: int = 7860, max_mb: int = 50) -> str:
        """Serve the page, and return its address.

        Args:
            host: Address to listen at; 0.0.0.0 for all of this machine.
            port: Port to listen at; 0 for the first that is free from 7860 on.
            max_mb: Largest sound that is taken, MB.

        Raises:
            UserError: The port is taken.
        """
        import gradio
        from starlette.middleware import Middleware

        self._page.queue(default_concurrency_limit=1, max_size=_AT_ONCE)
        try:
            _, url, _ = self._page.launch(
                server_name=host,
                server_port=port or None,
                max_file_size=f"{max_mb}mb",
                theme=gradio.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
                app_kwargs={"middleware": [Middleware(_OnlyFromHere)]},
                share=False,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                quiet=True,
                prevent_thread_lock=True,
            )
        except OSError as error:
            raise UserError(
                f"--host={host} --port={port} cannot be listened at ({error}); choose another --port, or 0."
            ) from error
        return url

    def wait(self) -> None:
        """Serve until the program is stopped."""
        self._page.block_thread()

    def close(self) -> None:
        """Stop serving, and remove the sounds."""
        self._page.close(verbose=False)
        self._uploads.cleanup()

    def look(self, file: str | None) -> tuple[Any, ...]:
        """Return what the page shows of a sound: tags, detections, the picture, and tokens."""
        import gradio
        from PIL import Image

        from audiotok.data.recording import Recording, cut
        from audiotok.prediction.picture import draw
        from audiotok.tokens.likeness import token_colours

        if file is None:
            return {}, [], None, None
        recording = Recording.of(file)
        try:
            scores = self.run.scores(recording, self.run.cutting(overlap=self.run.clip_seconds / 2))
            picture_path = Path(file).with_suffix(".audiotok.png")
            rate = self.run.sample_rate
            draw(picture_path, scores, self.run.thresholds, recording.blocks(rate), rate)
        except UserError as error:
            raise gradio.Error(str(error).replace(file, Path(file).name), duration=None) from None
        tags = {tag.sound_class.name: tag.probability for tag in scores.tags(_TOP)}
        found = scores.detections(self.run.thresholds)
        rows = [[d.sound_class.name, round(d.start, 2), round(d.end, 2), round(d.score, 3)] for d in found]
        _, first = next(cut(recording.blocks(rate), *self.run.cutting()))
        read = self.run.tokens(first, rate)
        tokens = read.tokens[0, : read.lengths[0]]  # (T, Q)
        pixels = token_colours(tokens, self.run.tokenizer.codebooks.centroids.cpu().numpy())
        of_tokens = Image.fromarray(pixels).resize(_TOKENS_SIZE, Image.Resampling.NEAREST)
        return tags, rows, picture_path, of_tokens

    def _build(self, name: str) -> Any:
        import gradio

        n_classes = len(self.run.classes)
        with gradio.Blocks(
            title=f"audiotok: {name}", analytics_enabled=False, delete_cache=(600, 3600)
        ) as page:
            gradio.Markdown(
                f"# {name}\nHears {n_classes} class{'es' if n_classes != 1 else ''} in windows of "
                f"{self.run.clip_seconds:g} s. Drop a sound, or record one; it does not leave this server."
            )
            sound = gradio.Audio(type="filepath", label="Sound", elem_id="sound", editable=False, buttons=[])
            with gradio.Row():
                tags = gradio.Label(label="Highest probabilities", elem_id="tags", num_top_classes=_TOP)
                heard = gradio.Dataframe(
                    headers=_HEARD,
                    label="Heard",
                    elem_id="heard",
                    interactive=False,
                    wrap=True,
                    column_widths=["37%", "22%", "19%", "22%"],  # all of them on a telephone
                )
            shown = {"interactive": False, "show_label": False, "container": False, "buttons": ["fullscreen"]}
            gradio.Markdown("Spectrogram, and classes over time; red where a class is heard.")
            timeline = gradio.Image(elem_id="timeline", **shown)
            gradio.Markdown("Tokens of the first window: a row for each codebook.")
            tokens = gradio.Image(elem_id="tokens", **shown)
            sound.change(
                self.look,
                sound,
                [tags, heard, timeline, tokens],
                api_visibility="private",
                show_progress="full",
            )
        return page


class _OnlyFromHere:
    """Tell browsers, with every answer, to fetch nothing from other servers."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", _POLICY.encode())
                message["headers"] = [*message.get("headers", ()), policy]
            await send(message)

        await self.app(scope, receive, with_policy)


def open_demo(run: Path, trust: Sequence[str] = ()) -> Demo:
    """Load a run for its page.

    Args:
        run: The folder of a finished run, or one of its checkpoints.
        trust: Modules of your own whose classes the run's configuration may name.

    Raises:
        UserError: It is neither, or gradio is missing.
    """
    find_trained(run)
    for package in ("gradio", "matplotlib"):
        if find_spec(package) is None:
            raise UserError(f'audiotok demo needs {package}, which is missing; pip install "audiotok[demo]".')
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from audiotok.prediction.tagger import load  # torch is imported here, after what names alone tell

    return Demo(load(run, trust=trust), run.name)
