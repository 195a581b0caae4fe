import { defineConfig } from 'vite';

// The output is committed and embedded into the server, so it must depend on the sources and the lock file alone: names come from
// content hashes and nothing is inlined that the page's Content-Security-Policy would refuse.
export default defineConfig({
  base: '/-/player/',
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // hls.js is loaded when it is needed, and not before.
    chunkSizeWarningLimit: 700,
    license: { fileName: 'license.md' },
  },
});
