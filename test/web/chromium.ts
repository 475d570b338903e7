/**
 * A headless Chromium from npm, without root and without a download of its own: `@sparticuz/chromium` carries the program and the few
 * libraries that a bare machine lacks, both compressed. They are unpacked once, into node_modules/.cache.
 */
import { execFileSync } from 'node:child_process'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { createBrotliDecompress } from 'node:zlib'
import { type Browser, chromium } from 'playwright-core'

const modules = fileURLToPath(new URL('../../node_modules/', import.meta.url))
const pack = join(modules, '@sparticuz/chromium')

const here = process.platform === 'linux' && process.arch === 'x64'
/** Why there is no browser, or false. Where `CI=true` says that all must be there, a missing package is a failure and no reason. */
export const noChromium: string | false = !here
  ? `the Chromium of npm runs on Linux x64, this is ${process.platform} ${process.arch}`
  : !existsSync(pack) && process.env.CI !== 'true' && 'the package @sparticuz/chromium is not installed'

/** The directory with the program `chromium` and its libraries in `lib`. */
async function unpacked(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(pack, 'package.json'), 'utf8'))
  const directory = join(modules, '.cache', `lineage-chromium-${version}`)
  if (existsSync(directory)) return directory
  await mkdir(dirname(directory), { recursive: true })
  const temporary = await mkdtemp(`${directory}-`)
  const unpack = (file: string, to: string) =>
    pipeline(createReadStream(join(pack, 'bin', file)), createBrotliDecompress(), createWriteStream(join(temporary, to), { mode: 0o755 }))
  await Promise.all([unpack('chromium.br', 'chromium'), unpack('al2023.tar.br', 'libraries.tar')])
  execFileSync('tar', ['-xf', 'libraries.tar'], { cwd: temporary })
  await rename(temporary, directory).catch(async (error) => {
    // Another process may have been faster.
    await rm(temporary, { recursive: true })
    if (!existsSync(directory)) throw error
  })
  return directory
}

/** Starts the browser. The caller closes it. */
export async function startChromium(): Promise<Browser> {
  const directory = await unpacked()
  const path = [join(directory, 'lib'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':')
  return chromium.launch({
    executablePath: join(directory, 'chromium'),
    args: ['--no-sandbox', '--no-zygote', '--disable-gpu', '--disable-dev-shm-usage'],
    env: { ...process.env, LD_LIBRARY_PATH: path } as Record<string, string>,
  })
}
