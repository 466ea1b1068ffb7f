// The data of a page in a notebook: asked of the frame around it, which asks the kernel.
import { askedSource } from "./asked";

interface Answer {
  id: string;
  value?: unknown;
  error?: string;
}

export function frameSource() {
  const waiting = new Map<string, (answer: Answer) => void>();
  // A page that is shown twice has two frames, and each hears the other's answers too.
  const own = crypto.getRandomValues(new Uint32Array(2)).join("-");
  let count = 0;
  const port = new Promise<MessagePort>((resolve) => {
    addEventListener("message", (event) => {
      const given = event.ports[0];
      if (event.source !== parent || event.data !== "tomogram" || !given) return;
      given.onmessage = ({ data }: MessageEvent<Answer>) => {
        waiting.get(data.id)?.(data);
        waiting.delete(data.id);
      };
      resolve(given);
    });
  });
  return askedSource(async (method, path, question) => {
    const id = `${own}-${count++}`;
    const answer = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    (await port).postMessage({ id, method, path, question });
    const { value, error } = await answer;
    if (error !== undefined) throw new Error(error);
    return value;
  });
}
