// Numbers: arrays that are packed in the data, and how numbers are written.

function unpackedArray(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function unpackAll(data) {
  const kinds = {
    ranks: Uint16Array, places: Int8Array, neighbours: Uint16Array, counts: Uint32Array, n_with: Uint32Array,
    n_recordings: Uint32Array, speaks_for: Int16Array,
  };
  for (const [name, Kind] of Object.entries(kinds)) if (data[name]) data[name] = unpackedArray(data[name], Kind);
  for (const name of ["measured", "decoded"]) if (data[name]) data[name].values = unpackedArray(data[name].values, Uint8Array);
  for (const clip of data.clips ?? []) {
    clip.tokens = unpackedArray(clip.tokens, Uint16Array);
    for (const name of ["peaks", "spectrogram", "decoded_spectrogram"]) {
      if (clip[name]) clip[name] = unpackedArray(clip[name], Uint8Array);
    }
  }
  data.order = [];  // of each codebook: its tokens from the first rank to the last
  for (let book = 0; book < data.n_codebooks; book += 1) {
    const order = new Uint16Array(data.n_clusters);
    for (let token = 0; token < data.n_clusters; token += 1) order[data.ranks[book * data.n_clusters + token]] = token;
    data.order.push(order);
  }
  return data;
}

function counted(count, noun) {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

function percent(share) {
  const value = 100 * share;
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value.toPrecision(2)} %`;
}

function bookCounts(data, book) {
  return data.counts.subarray(book * data.n_clusters, (book + 1) * data.n_clusters);
}

// The token that is seen first of a codebook: the most frequent one.
function commonest(data, book) {
  const counts = data.counts ? bookCounts(data, book) : [1];
  return counts.indexOf(counts.reduce((most, count) => Math.max(most, count), 0));
}

function perplexityOf(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let entropy = 0;
  for (const count of counts) if (count) entropy -= count / total * Math.log(count / total);
  return total ? Math.exp(entropy) : 0;
}

// The spectrum of a token, in the unit of the analysis; null for one that never occurs.
function spectrumOf(spectra, index) {
  const bytes = spectra.values.subarray(index * spectra.n_bins, (index + 1) * spectra.n_bins);
  return bytes[0] ? Array.from(bytes, (byte) => spectra.low + (byte - 1) * spectra.step) : null;
}
