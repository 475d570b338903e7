/**
 * The text report of `lineage inspect`: features, parameters by part, bytes, cache, work, and whether
 * it fits into memory.
 */

import { totalmem } from 'node:os'
import type { Quantization } from '../../architecture/quantization.ts'
import { unpublishedOf } from '../../architecture/slots.ts'
import { type Account, COMPONENTS, fittingContext } from '../../compare/account.ts'
import { describe } from '../../compare/difference.ts'
import { notes } from '../../compare/notes.ts'
import { type DType, dtypeName } from '../../ops/dtype.ts'
import type { Described } from './architectures.ts'
import { binary, type Cell, grouped, painter, short, table } from './terminal.ts'

/** Bytes of the published files: from their headers, or computed from the parameters and the other tensors. */
export const storedBytes = ({ storedBytes: read, preset }: Described, facts: Account): number =>
  read ?? facts.weightBytes.published + (preset?.alsoStored?.bytes ?? 0)

export interface Fit {
  memoryBytes: number
  fits: boolean
  context: number | null
}

/** Bytes of memory that a process of this machine can have. */
export const machineMemory = (): number => Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)

/** Whether the weights and the cache of one sequence fit, and the longest context that fits. */
export function fit({ architecture }: Described, facts: Account, memoryBytes: number): Fit {
  const context = fittingContext(architecture, memoryBytes, facts.weightBytes.published)
  return { memoryBytes, fits: context !== null && context > 0, context }
}

/** The whole report as text. */
export function report(described: Described, facts: Account, memoryBytes?: number): string {
  const { architecture, origin, preset, quantization } = described
  const paint = painter()
  const heading = (text: string): string => paint(text, 'bold')
  const { parameters, weightBytes, kvCache, state, work } = facts
  const stored = storedBytes(described, facts)
  const features = describe(architecture).filter(({ value }) => value !== '–')
  const rows: (string | Cell)[][] = [
    ['total', grouped(parameters.total), short(parameters.total)],
    [
      'active per token',
      grouped(parameters.active),
      short(parameters.active),
      `${short(parameters.activeWithEmbeddings)} with the input embedding`,
    ],
    ...COMPONENTS.filter((name) => parameters.byComponent[name] > 0).map((name) => {
      const count = parameters.byComponent[name]
      return [`  ${LABELS[name]}`, grouped(count), percent(count / parameters.total), bar(count / parameters.total)]
    }),
  ]
  const bytes: string[][] = [
    ['in bf16', grouped(weightBytes.bf16), binary(weightBytes.bf16)],
    ['in f32', grouped(weightBytes.f32), binary(weightBytes.f32)],
  ]
  const kinds = byDtype(facts) + (preset?.alsoStored ? `; ${preset.alsoStored.what} included` : '')
  if (!architecture.layers.some(unpublishedOf)) bytes.unshift(['as published', grouped(stored), binary(stored), kinds])
  const growth = [kvCache.bytesPerTokenWithinWindow, kvCache.bytesPerTokenBeyondWindow]
  const cache: string[][] = [
    [
      `at ${grouped(work.context)} tokens`,
      grouped(kvCache.bytes),
      binary(kvCache.bytes),
      kvCache.bytes < kvCache.bytesWithoutWindows ? `${binary(kvCache.bytesWithoutWindows)} without the windows` : '',
    ],
    [
      'per token',
      grouped(growth[0]!),
      binary(growth[0]!),
      growth[1] === growth[0] ? '' : `${grouped(growth[1]!)} once the windows are full`,
    ],
  ]
  if (state.bytes > 0)
    cache.push(['states', grouped(state.bytes), binary(state.bytes), `${grouped(state.values)} values in f32, at any length`])
  const effort: string[][] = [
    ['prompt', short(Math.round(work.promptMultiplyAdds)), 'multiply-adds per token', `prompt of ${grouped(work.context)} tokens`],
    ['decoding', short(work.decodeMultiplyAdds), 'multiply-adds per token', `last of ${grouped(work.context)} tokens`],
    ['', binary(work.decodeWeightBytes), 'of weights read'],
    ['', binary(work.decodeCacheBytes), 'of cache read'],
    ...(state.bytes > 0 ? [['', binary(work.decodeStateBytes), 'of states read and written']] : []),
  ]
  const indent = (text: string): string => text.replace(/^/gm, '  ')
  const parts = [
    `${heading(architecture.name)}  ${paint([preset?.repositories[0], origin].filter(Boolean).join('; '), 'dim')}`,
    indent(
      table(
        [...features, ...(quantization ? [{ label: 'matrices', value: packing(quantization) }] : [])].map(({ label, value }) => [
          { text: label, styles: ['dim'] },
          value,
        ]),
        paint,
      ),
    ),
    `${heading('Parameters')}\n${indent(table(rows, paint, [false, true, true]))}`,
    `${heading('Weight bytes')}\n${indent(table(bytes, paint, [false, true, true]))}`,
    `${heading('KV cache of one sequence, bf16')}\n${indent(table(cache, paint, [false, true, true]))}`,
    `${heading('Work')}\n${indent(table(effort, paint, [false, true]))}`,
  ]
  if (memoryBytes !== undefined)
    parts.push(`${heading('Memory')}\n${indent(verdict(fit(described, facts, memoryBytes), described, stored))}`)
  const remarks = notes(architecture)
  if (remarks.length) parts.push(`${heading('Notes')}\n${indent(remarks.join('\n'))}`)
  return parts.join('\n\n')
}

function verdict({ memoryBytes, fits, context }: Fit, { architecture }: Described, stored: number): string {
  const limit = `${binary(memoryBytes)} (${grouped(memoryBytes)} bytes)`
  if (!fits) return painter()(`does not fit into ${limit}: the weights alone take ${binary(stored)}`, 'red')
  const longest = context === architecture.maxPositionEmbeddings ? 'the full context' : `a context of ${grouped(context!)} tokens`
  return painter()(`fits into ${limit} with ${longest}, one sequence, bf16 cache; activations are not counted`, 'green')
}

const LABELS: Record<(typeof COMPONENTS)[number], string> = {
  embedding: 'embedding',
  position: 'positions',
  attention: 'attention',
  stateSpace: 'state spaces',
  norm: 'norms',
  feedForward: 'feed-forward',
  sharedExperts: 'shared experts',
  router: 'routers',
  experts: 'experts',
  expertBias: 'expert biases',
  unembedding: 'output matrix',
}

/** How the matrices in layers are packed, in words. */
function packing(quantization: Quantization): string {
  if (quantization.kind === 'fp8')
    return `FP8, a scale for each ${quantization.block ? `${quantization.block.join(' × ')} of them` : 'matrix or row'}`
  const { kind, bits, groupSize } = quantization
  return `${kind.toUpperCase()}, ${bits} bits, ${groupSize === null ? 'a scale for each output' : `groups of ${groupSize}`}`
}

const percent = (share: number): string => (share < 0.0005 ? '<0.1 %' : `${(share * 100).toFixed(1)} %`)
const bar = (share: number): string => '█'.repeat(Math.round(share * 30))
const byDtype = ({ weightBytes }: Account): string =>
  Object.entries(weightBytes.byDtype)
    .map(([dtype, bytes]) => `${binary(bytes)} ${dtypeName(dtype as DType)}`)
    .join(', ')
