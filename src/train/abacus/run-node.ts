/** The recipe of the embedded model: its stages one after another, each a training run in a directory of its own, resumable at any moment. */
import { existsSync } from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { mixSeeds } from '../../random/hash.ts'
import { REINFORCE, reinforcementData } from '../reinforce.ts'
import { claimRun } from '../run-directory-node.ts'
import { type RunOptions, type RunResult, trainingRun } from '../run-node.ts'
import { policySampler } from '../sample-node.ts'
import type { TokenizerSource } from '../save-node.ts'
import { loadValues } from '../state-node.ts'
import type { LogRecord } from '../trainer.ts'
import type { TrainingWorkers } from '../workers.ts'
import { inlineWorkers } from '../workers.ts'
import { threadWorkers } from '../workers-node.ts'
import { abacusTask } from './checkable.ts'
import type { Dialogue } from './dialogues.ts'
import {
  ABACUS_CHAT_TEMPLATE,
  ABACUS_GENERATION,
  ABACUS_TOKENIZER_CONFIG,
  abacusArchitecture,
  abacusData,
  abacusTokenizer,
  pretrainingData,
  STAGES,
  type StageName,
  stageSettings,
} from './recipe.ts'
import { drawUnfamiliar } from './unfamiliar.ts'

export interface AbacusRun extends Pick<RunOptions, 'shards' | 'threaded' | 'arenaMiB' | 'signal'> {
  out: string
  seed: number
  /** Factor on the steps of every stage. */
  scale: number
  resume?: boolean
  force?: boolean
  onStage?: (stage: StageName, steps: number, directory: string) => void
  log?: (record: LogRecord) => void
}

export const stageDirectory = (out: string, stage: StageName): string => join(out, `${1 + STAGES.indexOf(stage)}-${stage}`)

/** @returns the directory of the model, or null where the run was interrupted */
export async function trainAbacus(options: AbacusRun): Promise<string | null> {
  const { out, seed, scale, signal } = options
  for (const stage of STAGES) await claimRun(stageDirectory(out, stage), options)
  const { json, tokenizer } = abacusTokenizer()
  const source: TokenizerSource = { json, config: ABACUS_TOKENIZER_CONFIG, chatTemplate: ABACUS_CHAT_TEMPLATE }
  let before: string | undefined
  let result: RunResult | undefined
  for (const stage of STAGES) {
    const directory = stageDirectory(out, stage)
    const settings = stageSettings(stage, seed, scale)
    options.onStage?.(stage, settings.steps, directory)
    const from = before
    const start: RunOptions['start'] = from === undefined ? undefined : (layout, values) => loadValues(from, layout, values)
    const { shards, threaded, arenaMiB, log } = options
    const architecture = abacusArchitecture()
    const data: Record<StageName, () => RunOptions['data']> = {
      pretrain: () => pretrainingData(shards, seed),
      dialogues: () => abacusData(shards, seed),
      wordings: () => abacusData(shards, mixSeeds(seed, 0x776f), { source: drawUnfamiliar }),
      reinforce: () => (workers) => reinforcing(workers, from!, tokenizer, options),
    }
    result = await trainingRun({
      architecture,
      data: data[stage](),
      settings,
      out: directory,
      start,
      resume: options.resume ?? false,
      shards,
      threaded,
      arenaMiB,
      tokenizer: stage === 'pretrain' ? null : source,
      generation: ABACUS_GENERATION,
      title: `abacus: ${stage}`,
      log,
      signal,
    })
    if (signal?.aborted || result.progress.step < settings.steps) return null
    before = join(directory, 'state.bin')
  }
  const model = join(out, 'model')
  if (existsSync(model)) await rm(model, { recursive: true })
  await cp(helped(result!.records) ? result!.model! : join(stageDirectory(out, 'wordings'), 'model'), model, { recursive: true })
  return model
}

/** Whether rewards made more held-out answers right than there were before; otherwise the model of the stage before is kept. */
export function helped(records: readonly LogRecord[]): boolean {
  const right = records.flatMap(({ kind, notes }) => (kind === 'evaluation' && notes ? [notes.right!] : []))
  return right.at(-1)! > right[0]!
}

/** The last stage: medium effort; the others stay what they are by the divergence from the start and by what is rehearsed. */
async function reinforcing(
  workers: TrainingWorkers,
  start: string,
  tokenizer: ReturnType<typeof abacusTokenizer>['tokenizer'],
  options: AbacusRun,
) {
  const { shards, threaded, arenaMiB, seed, scale } = options
  const { architecture } = workers
  const reference = (threaded ? threadWorkers : inlineWorkers)(architecture, { shards, arenaBytes: arenaMiB * 2 ** 20, seed })
  await loadValues(start, reference.layout, reference.values)
  await reference.quantise(true)
  const stopIds = ABACUS_GENERATION.eos_token_id
  const sampler = policySampler(architecture, workers.layout, workers.values, { context: 384, threads: shards, stopIds, rounded: true })
  const task = abacusTask(tokenizer, { effort: 'medium', heldOut: scale < 1 ? 22 : 220, seed })
  const sizes = scale < 0.1 ? { prompts: 4, group: 4 } : { prompts: 64, group: 8 }
  const settings = { ...REINFORCE, ...sizes, parts: shards, seed, maxTokens: 300 }
  // Medium effort is not rehearsed: its workings would undo what is learned from rewards, and without them it would only be seen declining.
  const takes = ({ effort, tool }: Dialogue) => effort !== 'medium' || tool !== null
  const rehearsal = abacusData(shards, mixSeeds(seed, 0x7265), { source: drawUnfamiliar, takes })
  const data = reinforcementData(workers, reference, sampler, task, settings, abacusData(shards, seed).evaluation, rehearsal.examples)
  return {
    ...data,
    async close() {
      await data.close?.()
      await reference.close()
    },
  }
}
