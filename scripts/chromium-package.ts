/**
 * What the development dependency `@sparticuz/chromium` brings to Linux x64: a headless browser, and SwiftShader, a graphics driver
 * that computes on the CPU. Both are compressed; they are unpacked once, into node_modules/.cache. Nothing is downloaded.
 * `node scripts/chromium-package.ts COMMAND …` runs a command with SwiftShader as its graphics driver.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress } from 'node:zlib'
import { root } from './sources.ts'

const modules = join(root, 'node_modules')
const pack = join(modules, '@sparticuz/chromium')
const here = process.platform === 'linux' && process.arch === 'x64'

/** Why the package cannot be used, or false. Where `CI=true` says that all must be there, a missing package is a failure and no reason. */
export const noPackage: string | false = !here
  ? `the Chromium and SwiftShader of npm run on Linux x64, this is ${process.platform} ${process.arch}`
  : !existsSync(pack) && process.env.CI !== 'true' && 'the package @sparticuz/chromium is not installed'

/** The directory with the program `chromium`, its libraries in `lib`, and SwiftShader beside the program, where it looks for it. */
export const chromiumDirectory = (): Promise<string> =>
  unpacked('browser', async (unpack, directory) => {
    const tars = ['al2023.tar', 'swiftshader.tar']
    await Promise.all([unpack('chromium.br', 'chromium'), ...tars.map((tar) => unpack(`${tar}.br`, tar))])
    for (const tar of tars) execFileSync('tar', ['-xf', tar], { cwd: directory })
  })

/** The directory with the Vulkan loader and SwiftShader. */
const swiftshaderDirectory = (): Promise<string> =>
  unpacked('swiftshader', async (unpack, directory) => {
    await unpack('swiftshader.tar.br', 'swiftshader.tar')
    execFileSync('tar', ['-xf', 'swiftshader.tar'], { cwd: directory })
  })

/**
 * The environment of a process whose only graphics driver is SwiftShader, or no variables where the package cannot be used.
 * The dynamic linker reads LD_LIBRARY_PATH when a process starts, so a process cannot set it for itself.
 */
export async function swiftshaderEnvironment(): Promise<Record<string, string>> {
  if (noPackage) return {}
  const directory = await swiftshaderDirectory()
  return { LD_LIBRARY_PATH: searchPath(directory), VK_ICD_FILENAMES: join(directory, 'vk_swiftshader_icd.json') }
}

/** `directory` before what LD_LIBRARY_PATH names already. */
export const searchPath = (directory: string): string => [directory, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':')

type Unpack = (file: string, to: string) => Promise<void>

async function unpacked(name: string, fill: (unpack: Unpack, directory: string) => Promise<void>): Promise<string> {
  const { version } = JSON.parse(await readFile(join(pack, 'package.json'), 'utf8'))
  const directory = join(modules, '.cache', `lineage-${name}-${version}`)
  if (existsSync(directory)) return directory
  await mkdir(dirname(directory), { recursive: true })
  const temporary = await mkdtemp(`${directory}-`)
  const unpack: Unpack = (file, to) =>
    pipeline(createReadStream(join(pack, 'bin', file)), createBrotliDecompress(), createWriteStream(join(temporary, to), { mode: 0o755 }))
  await fill(unpack, temporary)
  await rename(temporary, directory).catch(async (error) => {
    // Another process may have been faster.
    await rm(temporary, { recursive: true })
    if (!existsSync(directory)) throw error
  })
  return directory
}

if (import.meta.main) {
  const [command, ...args] = process.argv.slice(2)
  if (noPackage || command === undefined) {
    console.error(noPackage || 'usage: node scripts/chromium-package.ts COMMAND …')
    process.exit(2)
  }
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...(await swiftshaderEnvironment()) } })
  process.exitCode = status ?? 1
}
