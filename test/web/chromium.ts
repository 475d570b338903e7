/** A headless Chromium from npm, without root and without a download of its own. */
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { chromiumDirectory, noPackage, searchPath, swiftshaderEnvironment } from '../../scripts/chromium-package.ts'

/** Why there is no browser, or false. */
export const noChromium: string | false = noPackage

const FLAGS = ['--no-sandbox', '--no-zygote', '--disable-dev-shm-usage']

/** Starts the browser. The caller closes it. With `webgpu` a page has a software adapter. */
export async function startChromium({ webgpu = false } = {}): Promise<Browser> {
  const directory = await chromiumDirectory()
  const graphics = webgpu ? await swiftshaderEnvironment() : {}
  return chromium.launch({
    executablePath: join(directory, 'chromium'),
    args: [...FLAGS, webgpu ? '--enable-unsafe-webgpu' : '--disable-gpu'],
    env: { ...process.env, ...graphics, LD_LIBRARY_PATH: searchPath(join(directory, 'lib')) } as Record<string, string>,
  })
}
