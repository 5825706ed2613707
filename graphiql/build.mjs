// Bundles GraphiQL and its three editor workers into dist/: every file named after its content, and a manifest that
// says which is which. The manifest is written last, so that it stands for a whole build.

import { rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");

const entryPoints = {
  boot: join(here, "boot.js"),
  "editor.worker": "monaco-editor/esm/vs/editor/editor.worker.js",
  "graphql.worker": "monaco-graphql/esm/graphql.worker.js",
  "json.worker": "monaco-editor/esm/vs/language/json/json.worker.js",
};

await rm(dist, { recursive: true, force: true });

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints,
  entryNames: "[name]-[hash]",
  outdir: dist,
  bundle: true,
  format: "iife",
  target: "es2022",
  minify: true,
  legalComments: "external",
  metafile: true,
  define: { "process.env.NODE_ENV": '"production"', "process.env.USE_IMPORT": '"true"' },
  loader: { ".ttf": "dataurl", ".woff": "dataurl", ".woff2": "dataurl" },
  logLevel: "warning",
});

const manifest = {};
for (const [file, output] of Object.entries(metafile.outputs)) {
  const name = Object.keys(entryPoints).find((entry) => basename(file).startsWith(`${entry}-`));
  if (file.endsWith(".js")) {
    manifest[`${name}.js`] = basename(file);
  } else if (file.endsWith(".css") && name === "boot") {
    manifest["boot.css"] = basename(file);
  }
}
await writeFile(join(dist, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
