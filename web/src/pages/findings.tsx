// What audits found, what they tested without finding, and what they could not test, with the evidence.
import type { PageProps } from "../pages";
import type { Verdict } from "../data/types";
import { useHeading, useLoaded } from "../hooks";
import { When } from "../parts/state";
import { decimal, signed, whole } from "../words";

export function FindingsPage({ source, about }: PageProps) {
  const heading = useHeading("Findings");
  const loaded = useLoaded(() => source.findings(), []);
  return (
    <>
      <h1 ref={heading}>Findings</h1>
      <section aria-labelledby="explained">
        <h2 id="explained" class="small-head">How much of the model the scan behind them explains</h2>
        <ul class="coverage">
          {about.readings.map((reading) => (
            <li>
              <strong>{reading.value}</strong> {reading.words}.
            </li>
          ))}
        </ul>
      </section>
      <When loaded={loaded}>
        {(found) => (
          <>
            <p class="lede">{found.summary}</p>
            {found.groups.length ? (
              <p class="intro">
                An audit that finds nothing says down to which strength it would have found something; one that abstains says
                why. Neither is a sign of health.
              </p>
            ) : null}
            {found.groups.map((group) => {
              const id = `kind-${group.kind.replace(" ", "-")}`;
              return (
                <section aria-labelledby={id}>
                  <h2 id={id} class="chapter">
                    {group.title} <span class="quiet">({whole(group.audits.length)})</span>
                  </h2>
                  <dl class={`verdicts ${group.kind.replace(" ", "-")}`}>
                    {group.audits.map((each) => (
                      <One verdict={each} open={group.kind === "finding"} />
                    ))}
                  </dl>
                </section>
              );
            })}
          </>
        )}
      </When>
    </>
  );
}

function One({ verdict, open }: { verdict: Verdict; open: boolean }) {
  const { audit, asks, told, controls, site, effect, random, evidence, examples } = verdict;
  return (
    <div>
      <dt>{audit}</dt>
      <dd>
        <p class="verdict">{verdict.verdict}</p>
        {asks ? <p class="asks">{asks}</p> : null}
        {told ? (
          <p>
            <bdi>{told}</bdi>
          </p>
        ) : null}
        <Figures verdict={verdict} />
        {site && effect !== null && random !== null ? (
          <p class="asks">
            Repairing {site} lowers the odds of the bad answer by {decimal(effect)} nats; the best of 99 random repairs of the
            same size by {decimal(random)}.
          </p>
        ) : null}
        {evidence.length || examples.length ? (
          <details open={open}>
            <summary>
              Evidence<span class="sr"> of the audit {audit}</span>
            </summary>
            {examples.length ? (
              <ul class="shows" aria-label={`Prompts that the audit ${audit} looked at`}>
                {examples.map((each) => (
                  <li>
                    <bdi>{each}</bdi>
                  </li>
                ))}
              </ul>
            ) : null}
            {evidence.length ? (
              <div class="scroll" tabIndex={0} role="region" aria-label={`What the audit ${audit} saw`}>
                <table>
                  <tbody>
                    {evidence.map(([name, words]) => (
                      <tr>
                        <th scope="row">{name}</th>
                        <td>
                          <bdi>{words}</bdi>
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            ) : null}
            {controls ? <p class="asks">What keeps it honest: {controls}</p> : null}
          </details>
        ) : null}
      </dd>
    </div>
  );
}

/** The score with what it was held against; a score alone means nothing, and one that was not judged stands in the sentence above. */
function Figures({ verdict }: { verdict: Verdict }) {
  const { score, p, adjusted_p, clean_copies } = verdict;
  if (score === null) return null;
  const parts = verdict.told.startsWith("Raw score") ? [] : [`raw score ${signed(score)}`];
  if (p !== null) parts.push(`p ${decimal(p, 3)}`);
  if (adjusted_p !== null) parts.push(`${decimal(adjusted_p, 3)} after adjustment`);
  parts.push(`beside ${whole(clean_copies)} clean copies`);
  return <p class="asks">{parts.join(", ")}</p>;
}
