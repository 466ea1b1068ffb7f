import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { chunkSource } from "./data/chunks";
import { frameSource } from "./data/frame";
import { serverSource } from "./data/server";
import { useLoaded } from "./hooks";
import { pages } from "./pages";
import { When } from "./parts/state";
import { Tip } from "./parts/tip";
import { useAddress } from "./router";
import "./style.css";
import "./style-circuit.css";

const sources = { chunks: chunkSource, frame: frameSource, server: serverSource };
const source = sources[document.documentElement.dataset.source as keyof typeof sources]();

function App() {
  const address = useAddress();
  const about = useLoaded(() => source.about(), []);
  const page = pages.find((each) => each.name === address.page);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const where = `${address.page}/${address.parts.join("/")}`;

  // After a change of page the reader, eyes or ears, starts at its top.
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [where]);

  const Shown = page?.component;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>
        Skip to the page
      </a>
      <nav class="rail" aria-label="Pages">
        <p class="wordmark">Tomogram</p>
        <ol>
          {pages.map((each) =>
            each.rail ? (
              <li>
                <a href={`#/${each.name}`} aria-current={each === page || (each.name === "features" && page?.name === "feature") ? "page" : undefined}>
                  {each.rail}
                </a>
              </li>
            ) : null,
          )}
        </ol>
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        <When loaded={about}>
          {(found) =>
            Shown ? (
              <Shown key={address.page} source={source} about={found} address={address} />
            ) : (
              <>
                <h1>No such page</h1>
                <p class="lede">
                  There is nothing at this address. <a href="#/">Back to the overview</a>
                </p>
              </>
            )
          }
        </When>
      </main>
      <Tip />
    </>
  );
}

render(<App />, document.body);
