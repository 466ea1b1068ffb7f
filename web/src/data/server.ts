// The data of a running `tomogram view`.
import { askedSource } from "./asked";

async function answer(response: Response): Promise<unknown> {
  const value = await response.json().catch(() => null);
  if (!response.ok) throw new Error((value as { error?: string } | null)?.error ?? "The server did not answer.");
  return value;
}

const unreachable = () => {
  throw new Error("The server is not running any more; start `tomogram view` again.");
};

export const serverSource = () =>
  askedSource((method, path, question) => {
    const asked =
      method === "GET"
        ? fetch(`${path}?${new URLSearchParams(question as Record<string, string>)}`)
        : fetch(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(question) });
    return asked.catch(unreachable).then(answer);
  });
