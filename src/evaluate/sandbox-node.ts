/**
 * Runs generated programs with a command that the user names, such as `docker run …` or `python3`. Lineage runs nothing by itself: a program
 * of a model can do whatever the command allows. The program comes on standard input, or in a file where the command has `{file}`.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Sandbox } from './kinds/generate.ts'

const LONGEST_OUTPUT = 4000

/**
 * @param command split at blanks; no shell
 * @param timeoutMs the command is killed after it, with everything it started, and the program has failed
 */
export function commandSandbox(command: string, timeoutMs = 30_000): Sandbox {
  // The command runs in a directory of its own. So a path from the user's directory is made absolute.
  const words = command
    .trim()
    .split(/\s+/)
    .map((word, i) => (existsSync(word) && (i > 0 || word.includes('/')) ? resolve(word) : word))
  return async (program, signal) => {
    const directory = await mkdtemp(join(tmpdir(), 'lineage-eval-'))
    try {
      const file = join(directory, 'program.py')
      const named = words.some((word) => word.includes('{file}'))
      if (named) await writeFile(file, program)
      return await run(
        words.map((word) => word.replaceAll('{file}', file)),
        directory,
        named ? '' : program,
        timeoutMs,
        signal,
      )
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  }
}

function run([program = '', ...args]: string[], cwd: string, input: string, timeoutMs: number, signal: AbortSignal | undefined) {
  return new Promise<{ passed: boolean; output: string }>((resolve, reject) => {
    // A group of its own, so that what the program starts can be killed with it.
    const detached = process.platform !== 'win32'
    const child = spawn(program, args, { cwd, detached, stdio: ['pipe', 'pipe', 'pipe'] })
    let output = ''
    let isLate = false
    const keep = (data: Buffer) => {
      output = (output + data.toString('utf8')).slice(-LONGEST_OUTPUT)
    }
    const kill = () => {
      try {
        if (detached && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
        else child.kill('SIGKILL')
      } catch {
        // it has ended
      }
    }
    const timer = setTimeout(() => {
      isLate = true
      kill()
    }, timeoutMs)
    signal?.addEventListener('abort', kill)
    const settle = (done: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', kill)
      done()
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.stdin.on('error', () => {}) // a program may end before it has read everything
    child.on('error', (error) =>
      settle(() => reject(new Error(`the sandbox command ${JSON.stringify(program)} cannot run: ${error.message}`))),
    )
    child.on('close', (code) =>
      settle(() => {
        if (signal?.aborted) reject(signal.reason)
        else resolve({ passed: code === 0 && !isLate, output: isLate ? `ended after ${timeoutMs} ms` : output })
      }),
    )
    child.stdin.end(input)
  })
}
