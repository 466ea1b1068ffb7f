// How good the dictionaries are, and what the model's own parts do.
import type { PageProps } from "../pages";
import { useHeading } from "../hooks";
import { Figure } from "../parts/figure";

export function QualityPage({ about }: PageProps) {
  const heading = useHeading("Quality");
  const { quality, neurons, anatomy } = about.chapters;
  return (
    <>
      <h1 ref={heading}>Quality</h1>
      <p class="lede">
        A dictionary is worth what the model can still do when its reconstruction takes the place of the real activations.
        The rise in loss in nats is the honest measure, all layers at once the hardest.
      </p>
      <Chapter id="dictionaries" title="Dictionaries by layer" pictures={quality} none="This scan holds no dictionaries." />
      <Chapter id="neurons" title="Neurons against features" pictures={neurons} none="This scan holds no neurons to compare with." />
      <Chapter id="anatomy" title="Anatomy" pictures={anatomy} none="" />
    </>
  );
}

function Chapter(props: { id: string; title: string; pictures: PageProps["about"]["chapters"]["quality"]; none: string }) {
  return (
    <section aria-labelledby={props.id}>
      <h2 id={props.id} class="chapter">{props.title}</h2>
      {props.pictures.length ? (
        <div class="grid">
          {props.pictures.map((picture) => (
            <Figure picture={picture} />
          ))}
        </div>
      ) : (
        <p>{props.none}</p>
      )}
    </section>
  );
}
