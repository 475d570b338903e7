/** The directory of a training run as an output: only files of a run are replaced, and only when it is asked for. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { beginOf, OutputExistsError } from '../files/output-node.ts'
import { sweepTemporary } from '../files/write-node.ts'

/** The files of a run. */
const FILES = ['log.jsonl', 'curve.svg', 'state.bin', 'state.bin.best', 'model', 'adapter']
/** How a log begins: the first record of the trainer. */
const OWN_LOG = /^\s*(\{(?=[^\n]*"kind")(?=[^\n]*"step")[^\n]*\})?\s*(\n|$)/
const OWN_STATE = /^\{"magic":"lineage-training-state-/

/**
 * Makes sure that a run may be written into a directory. A new run begins where nothing is, or where a run ended before its first state.
 * @throws OutputExistsError when files of another origin, or a run that is not to be continued, are there
 */
export async function claimRun(directory: string, { resume = false, force = false }: { resume?: boolean; force?: boolean }): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    if (error.code === 'ENOTDIR') throw new Error(`${directory}: expected a directory or nothing, found a file.`, { cause: error })
    throw error
  })
  await sweepTemporary(directory)
  await sweepTemporary(join(directory, 'model'))
  const there = FILES.filter((name) => names.includes(name))
  if (there.length === 0) return
  const isRun = there.includes('state.bin') && OWN_STATE.test(await beginOf(join(directory, 'state.bin')))
  if (force && !resume) {
    for (const name of there) await rm(join(directory, name), { recursive: true, force: true })
    return
  }
  if (isRun && resume) return
  if (isRun) throw new OutputExistsError(directory, 'the directory holds a run already; --resume continues it.')
  // Of a run that ended before its first state there may be the log, and the best state so far.
  const own: Readonly<Record<string, RegExp>> = { 'log.jsonl': OWN_LOG, 'state.bin.best': OWN_STATE }
  const begins = await Promise.all(there.map(async (name) => own[name]?.test(await beginOf(join(directory, name)))))
  if (begins.every(Boolean)) await rm(join(directory, 'state.bin.best'), { force: true })
  else throw new OutputExistsError(directory, `there are files that no training run wrote (${there.join(', ')}).`)
}
