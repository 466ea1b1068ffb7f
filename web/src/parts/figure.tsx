// A chart that Python drew for the report, with its numbers as a table.
import type { Picture } from "../data/types";

export function Figure({ picture, className = "" }: { picture: Picture; className?: string }) {
  return (
    <figure class={`figure ${className}`}>
      <h3>{picture.title}</h3>
      {/* Our own markup, whose words Python has escaped; see report/charts/svg.py. */}
      <div dangerouslySetInnerHTML={{ __html: picture.svg }} />
      <figcaption>{picture.caption}</figcaption>
      <Numbers title={picture.title} columns={picture.columns} rows={picture.rows} />
    </figure>
  );
}

export function Numbers(props: { title: string; columns: string[]; rows: string[][] }) {
  return (
    <details class="numbers">
      <summary>
        Numbers<span class="sr"> of “{props.title}”</span>
      </summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={`Numbers of “${props.title}”`}>
        <table>
          <thead>
            <tr>{props.columns.map((column) => <th scope="col">{column}</th>)}</tr>
          </thead>
          <tbody>
            {props.rows.map((row) => (
              <tr>{row.map((cell, i) => (i ? <td>{cell}</td> : <th scope="row">{cell}</th>))}</tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
