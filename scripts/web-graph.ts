/**
 * Bundles src/web.ts and the workers of the WebAssembly backend for a browser. Fails on every import that a browser does not have
 * (`node:fs`, `fs`), and says how large the result is.
 */
import { gzipSync } from 'node:zlib'
import { type BuildResult, build } from 'esbuild'
import { root } from './sources.ts'

/** The modules of a page: web.js, and worker.js beside it, where the backend looks for it. */
export const bundle = (entries: Record<string, string> = { web: 'src/web.ts', worker: 'src/ops/wasm/worker.ts' }, base: string = root) =>
  build({
    absWorkingDir: base,
    entryPoints: entries,
    outdir: 'out',
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    minify: true,
    metafile: true,
    logLevel: 'silent',
  })

/** One line per import that cannot be bundled. */
export async function unbundled(...args: Parameters<typeof bundle>): Promise<{ found: string[]; files: number; sizes: string[] }> {
  try {
    const { metafile, outputFiles } = await bundle(...args)
    const external = Object.entries(metafile.inputs).flatMap(([path, { imports }]) =>
      imports.filter((one) => one.external).map((one) => `${path}: ${one.path} is not in the bundle`),
    )
    const sizes = outputFiles.map(
      ({ path, contents }) => `${path.split(/[\\/]/).at(-1)} ${kilobytes(contents)}, compressed ${kilobytes(gzipSync(contents))}`,
    )
    return { found: external, files: Object.keys(metafile.inputs).length, sizes }
  } catch (error) {
    const found = (error as BuildResult).errors?.map(({ location, text }) => `${location?.file}:${location?.line}: ${text}`)
    if (!found) throw error
    return { found, files: 0, sizes: [] }
  }
}

const kilobytes = ({ byteLength }: Uint8Array): string => `${Math.round(byteLength / 1000)} kB`

if (import.meta.main) {
  const { found, files, sizes } = await unbundled()
  for (const line of found) console.error(line)
  console.log(`web: ${files} files, ${found.length} imports that a browser does not have${sizes.map((size) => `, ${size}`).join('')}`)
  process.exitCode = found.length ? 1 : 0
}
