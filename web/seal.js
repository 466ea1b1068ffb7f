// Writes what the bundle was built from beside it, so that a test can tell without Node whether
// somebody changed the source and forgot to build.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const files = (path) =>
  statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => files(join(path, name))) : [path];
const digest = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
const out = "../src/tomogram/viewer/built";
const listed = (paths) => Object.fromEntries(paths.sort().map((path) => [path, digest(path)]));
const sources = listed(JSON.parse(readFileSync("sources.json", "utf8")).flatMap(files));
const built = Object.fromEntries(["app.css", "app.js", "widget.js"].map((name) => [name, digest(join(out, name))]));
writeFileSync(join(out, "sources.json"), JSON.stringify({ built, sources }, null, 1) + "\n");
