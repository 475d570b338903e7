/** The options of `lineage train`, and what its ways of training have in common. */
import type { Command } from 'commander'
import type { Architecture } from '../../architecture/architecture.ts'
import { MXFP4_BLOCK } from '../../ops/dtype.ts'
import type { RunOptions } from '../../train/run-node.ts'
import { UsageError } from '../support/terminal.ts'

export interface Options {
  data?: string
  from?: string
  tokenizer?: string
  out?: string
  fresh?: boolean
  resume?: boolean
  force?: boolean
  steps?: number
  batch: number
  block?: number
  accumulate: number
  rate?: number
  finalRate?: number
  warmup?: number
  decay?: number
  clip?: number
  dropout?: number
  evaluateEvery?: number
  saveEvery?: number
  patience?: number
  quantiseFrom?: number
  lora?: number
  loraAlpha?: number
  loraRs?: boolean
  loraOn: readonly string[]
  /** Reinforcement learning, and its options; undefined: the defaults of `REINFORCE`. */
  reinforce?: string
  group?: number
  prompts?: number
  updates?: number
  clipRatio?: number
  kl?: number
  lengthPrice?: number
  temperature?: number
  answerTokens?: number
  /** Distillation. */
  distill?: string
  distillShare?: number
  onPolicy?: boolean
  layers: number
  heads: number
  width: number
  /** Of abacus. */
  scale?: number
  seed: number
  threads: number
  memory: number
  inline?: boolean
}

/** Refuses options that have no effect without another one, so that nobody believes that they had. `what`: what is trained. */
export function refuseWithoutEffect(command: Command, options: Options, what: 'abacus' | 'step' | 'other'): void {
  const { lora, reinforce, distill, onPolicy } = options
  const needs: readonly [string, boolean, readonly (keyof Options)[]][] = [
    ['needs --lora RANK', lora !== undefined, ['loraAlpha', 'loraRs', 'loraOn']],
    ['needs --reinforce FILE', reinforce !== undefined, ['group', 'updates', 'clipRatio', 'kl', 'lengthPrice']],
    ['needs --reinforce FILE or --on-policy', reinforce !== undefined || !!onPolicy, ['prompts', 'temperature', 'answerTokens']],
    ['needs --distill TEACHER', distill !== undefined, ['onPolicy', 'distillShare']],
    ['is for abacus', what === 'abacus', ['scale']],
    ['is not for abacus', what !== 'abacus', ['data', 'tokenizer', 'block', 'batch', 'accumulate', 'dropout', 'fresh', 'distill']],
    ['is for the steps from GPT-2 to gpt-oss', what === 'step', ['layers', 'heads', 'width']],
  ]
  for (const [why, isMet, names] of needs) {
    const name = names.find((each) => !isMet && command.getOptionValueSource(each) === 'cli')
    if (name === undefined) continue
    const flag = command.options.find((option) => option.attributeName() === name)!.long!
    throw new UsageError(`${flag} ${why}`)
  }
}

export type Prepared = Omit<RunOptions, 'log' | 'signal'>

export function shared(options: Options): Pick<Prepared, 'resume' | 'shards' | 'threaded' | 'arenaMiB'> {
  return {
    resume: options.resume ?? false,
    shards: options.threads,
    threaded: !options.inline,
    arenaMiB: options.memory,
  }
}

export function changes(options: Omit<Options, 'seed'> & { seed?: number }): Partial<Prepared['settings']> {
  const { steps, rate, finalRate, warmup, decay, clip, evaluateEvery, saveEvery, patience, quantiseFrom, seed } = options
  const given = {
    steps,
    learningRate: rate,
    finalLearningRate: finalRate,
    warmup,
    weightDecay: decay,
    clip,
    evaluateEvery,
    saveEvery,
    patience,
    quantiseFrom,
    seed,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

export const isConversations = (file: string): boolean => file.endsWith('.jsonl')

/** Experts that are read through MXFP4 in training are saved so, and every dtype of the saved model is one that files have. */
export function quantised(architecture: Architecture, { quantiseFrom }: Options): Architecture {
  const dtype = ['f32', 'bf16', 'f16'].includes(architecture.dtype) ? architecture.dtype : 'bf16'
  const packed = architecture.expertDtype === 'mxfp4'
  if (quantiseFrom === undefined) return { ...architecture, dtype, expertDtype: packed ? 'mxfp4' : dtype }
  const experts = architecture.layers.flatMap(({ feedForward }) => (feedForward.kind === 'moe' ? [feedForward.intermediateSize] : []))
  if (experts.length === 0) throw new UsageError('--quantise-from: the model has no experts')
  if ([architecture.hiddenSize, ...experts].some((width) => width % MXFP4_BLOCK))
    throw new UsageError(`--quantise-from: MXFP4 needs widths in multiples of ${MXFP4_BLOCK}`)
  return { ...architecture, dtype, expertDtype: 'mxfp4' }
}
