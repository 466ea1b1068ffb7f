// The small histogram of a row: how strongly a unit fires when it fires.
export function Spark({ spark }: { spark: [number, string] }) {
  const heights = spark[1];
  if (!heights) return <span class="spark-none">–</span>;
  const width = Math.min(7, 84 / heights.length);
  return (
    <svg class="spark-row" viewBox="0 0 84 22" width="84" height="22" aria-hidden="true">
      {[...heights].map((height, i) =>
        height === "0" ? null : (
          <rect class="bar-feature" x={i * width} y={22 - 2.2 * Number(height) - 1} width={Math.max(1, width - 0.8)} height={2.2 * Number(height) + 1} />
        ),
      )}
    </svg>
  );
}
