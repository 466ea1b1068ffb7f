import { defineConfig } from "vite";

// The module that shows the page in a notebook. The page itself is the other build's.
export default defineConfig({
  build: {
    outDir: "../src/tomogram/viewer/built",
    emptyOutDir: false,
    target: "es2022",
    sourcemap: false,
    lib: { entry: "src/widget.ts", formats: ["es"], fileName: () => "widget.js" },
  },
});
