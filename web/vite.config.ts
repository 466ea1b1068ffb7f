import { defineConfig } from "vite";

// One classic script and one style sheet: from file:// a browser loads no modules.
export default defineConfig({
  define: { "process.env.NODE_ENV": '"production"' },
  build: {
    outDir: "../src/tomogram/viewer/built",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    cssCodeSplit: false,
    lib: { entry: "src/main.tsx", name: "tomogramViewer", formats: ["iife"], fileName: () => "app.js", cssFileName: "app" },
  },
});
