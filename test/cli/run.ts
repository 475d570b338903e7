/** Runs the command line as a person does, in a process of its own. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const entry = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface Ran {
  code: number | null
  out: string
  err: string
}

export function lineage(args: string[], options: { env?: Record<string, string>; input?: string; cwd?: string } = {}): Ran {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    input: options.input,
    cwd: options.cwd,
    env: { ...env, ...options.env },
  })
  return { code: status, out: stdout, err: stderr }
}
