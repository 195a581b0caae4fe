/** The usual figures of a list of numbers; null entries do not count. Null when nothing is left. */
export function distribution(values) {
  const sorted = values.filter((v) => typeof v === 'number' && Number.isFinite(v)).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  // Nearest rank: the smallest value that at least p of all values do not exceed.
  const rank = (p) => sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)];
  return { n: sorted.length, min: sorted[0], p50: rank(0.5), p95: rank(0.95), max: sorted.at(-1) };
}
