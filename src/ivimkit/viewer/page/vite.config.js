import { defineConfig } from "vite";

// NiiVue can read zarr files, with 1.3 MB of decompressors; the server only sends NIfTI.
const noZarr = {
  name: "no-zarr-codecs",
  enforce: "pre",
  resolveId: (id) => (id.startsWith("numcodecs/") ? "\0no-zarr-codecs" : null),
  load: (id) => (id === "\0no-zarr-codecs" ? "export default null;" : null),
};

export default defineConfig({
  // The page lives below a token that is different every time: all addresses are relative.
  base: "./",
  plugins: [noZarr],
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    // The licences of what is in the bundle go with it into the wheel.
    license: { fileName: "licenses.md" },
    chunkSizeWarningLimit: 2000,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
