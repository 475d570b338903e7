/** PyTorch in a process of its own (nanogpt.py beside this file), which waits between visits. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Torch {
  version: string
  /** Milliseconds of the next steps. */
  run(steps: number): Promise<number[]>
  close(): void
}

/** @throws Error when the interpreter ends, for example because it has no torch */
export async function startTorch(python: string, args: string[]): Promise<Torch> {
  const script = fileURLToPath(new URL('nanogpt.py', import.meta.url))
  const child = spawn(python, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const answer = async () => {
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${python} ended with code ${code}`)))
    const [line] = await Promise.race([once(lines, 'line'), ended])
    return JSON.parse(line)
  }
  const { version } = await answer()
  return {
    version,
    async run(steps) {
      child.stdin.write(`${steps}\n`)
      return (await answer()).times
    },
    close: () => child.stdin.end(),
  }
}
