#!/usr/bin/env node
// Starts the command line: the sources in a clone, the build in an installed package. Plain JavaScript for any Node.js: where the
// running one is too old and the clone has its own (the dev dependency `node`), it starts that one instead.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process, { argv, execPath, exit, stderr, versions } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'

const OLDEST = 24
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const source = join(root, 'src', 'cli', 'main.ts')
const entry = existsSync(source) ? source : join(root, 'dist', 'cli', 'main.js')

if (Number(versions.node.split('.')[0]) >= OLDEST) {
  const { main } = await import(pathToFileURL(entry).href)
  await main(argv.slice(2))
} else {
  const own = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (!existsSync(own)) {
    stderr.write(
      `lineage: needs Node.js ${OLDEST} or newer, this is ${versions.node} (${execPath}); install a newer one, or run npm install in a clone\n`,
    )
    exit(1)
  }
  const child = spawn(own, [fileURLToPath(import.meta.url), ...argv.slice(2)], { stdio: 'inherit' })
  process.on('SIGINT', () => {}) // the terminal sends it to the child as well, which decides what it means
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    stderr.write(`lineage: cannot start ${own}: ${error.message}\n`)
    exit(1)
  })
  child.on('exit', (code, signal) => (signal ? process.kill(process.pid, signal) : exit(code)))
}
