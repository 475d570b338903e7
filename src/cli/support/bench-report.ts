/** The report of `lineage bench`: medians, and the rates in bytes and multiply-adds that follow from them. */
import type { Architecture } from '../../architecture/architecture.ts'
import { account } from '../../compare/account.ts'
import type { MachineLimits } from './machine-limits.ts'
import { binary, painter, table } from './terminal.ts'

export interface Run {
  /** From the start until every answer has its first id. */
  prefillMs: number
  /** Mean of the decode steps that follow. */
  decodeMs: number
}

export interface Measurement {
  model: string
  backend: string
  precision: string
  threads: number
  prompt: number
  generate: number
  batch: number
  machine: { cpu: string; node: string }
  /** Measured before and after the runs. */
  limits: MachineLimits[]
  loadMs: number
  memory: { residentBytes: number; peakResidentBytes: number; weights: number; caches: number; temporaries: number }
  runs: Run[]
}

export interface BenchReport extends Measurement {
  name: string
  prefill: {
    tokensPerSecond: number
    bestTokensPerSecond: number
    multiplyAddsPerSecond: number
    shareOfF32: number
    shareOfInt8: number | null
  }
  /** Bytes of the published dtypes; null for a batch and where the backend stores other dtypes. */
  decode: {
    tokensPerSecond: number
    bestTokensPerSecond: number
    stepMs: number
    bytesPerSecond: number | null
    shareOfRead: number | null
  }
  loadBytesPerSecond: number
}

export function benchReport(architecture: Architecture, measured: Measurement): BenchReport {
  const { prompt, generate, batch, runs, limits, precision, backend } = measured
  const prefillMs = ascending(runs.map((run) => run.prefillMs))
  const stepMs = ascending(runs.map((run) => run.decodeMs))
  const perSecond = (ms: number, tokens: number) => (1000 * tokens) / ms
  const { work } = account(architecture, { context: Math.min(prompt + Math.ceil(generate / 2), architecture.maxPositionEmbeddings) })
  const promptWork = account(architecture, { context: prompt }).work.promptMultiplyAdds
  const prefill = perSecond(median(prefillMs), prompt * batch)
  const known = batch === 1 && (precision === 'faithful' || backend !== 'wasm')
  const bytesPerSecond = known ? perSecond(median(stepMs), work.decodeWeightBytes + work.decodeCacheBytes) : null
  const read = median(ascending(limits.map((limit) => limit.readBytesPerSecond.median)))
  const int8 = limits.map((limit) => limit.int8PerSecond ?? 0)
  return {
    name: architecture.name,
    ...measured,
    prefill: {
      tokensPerSecond: prefill,
      bestTokensPerSecond: perSecond(prefillMs[0]!, prompt * batch),
      multiplyAddsPerSecond: prefill * promptWork,
      shareOfF32: (prefill * promptWork) / Math.max(...limits.map((limit) => limit.f32PerSecond)),
      shareOfInt8: Math.max(...int8) > 0 ? (prefill * promptWork) / Math.max(...int8) : null,
    },
    decode: {
      tokensPerSecond: perSecond(median(stepMs), batch),
      bestTokensPerSecond: perSecond(stepMs[0]!, batch),
      stepMs: median(stepMs),
      bytesPerSecond,
      shareOfRead: bytesPerSecond === null ? null : bytesPerSecond / read,
    },
    loadBytesPerSecond: perSecond(measured.loadMs, measured.memory.weights),
  }
}

const ascending = (values: number[]): number[] => values.toSorted((a, b) => a - b)

/** The median of ascending values. */
export function median(values: readonly number[]): number {
  const middle = values.length >> 1
  return values.length % 2 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2
}

export function formatReport(report: BenchReport): string {
  const { prefill, decode, memory, limits } = report
  const giga = (value: number) => (value / 1e9).toFixed(1)
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`
  const rows = [
    ['prompt', `${prefill.tokensPerSecond.toFixed(1)} tokens/s`, `${giga(prefill.multiplyAddsPerSecond)} GMAC/s`, against()],
    [
      'answer',
      `${decode.tokensPerSecond.toFixed(2)} tokens/s`,
      decode.bytesPerSecond === null ? '' : `${giga(decode.bytesPerSecond)} GB/s`,
      share(),
    ],
    ['loading', `${(report.loadMs / 1000).toFixed(1)} s`, `${giga(report.loadBytesPerSecond)} GB/s`, ''],
    [
      'memory',
      binary(memory.residentBytes),
      `at most ${binary(memory.peakResidentBytes)}`,
      `weights ${binary(memory.weights)}, cache ${binary(memory.caches)}`,
    ],
  ]
  function against(): string {
    const int8 = prefill.shareOfInt8 === null ? '' : `, ${percent(prefill.shareOfInt8)} of int8`
    return `${percent(prefill.shareOfF32)} of f32${int8}`
  }
  function share(): string {
    return decode.shareOfRead === null ? '' : `${percent(decode.shareOfRead)} of the read bandwidth`
  }
  const reads = limits.map(({ readBytesPerSecond: { best, median } }) => `${giga(median)} (best ${giga(best)})`).join(' and ')
  const peak = limits.map(({ f32PerSecond, int8PerSecond }) => `${giga(f32PerSecond)} f32, ${giga(int8PerSecond ?? 0)} int8`).join(' and ')
  return [
    `${report.name}: ${report.prompt} ids + ${report.generate}, batch ${report.batch}, ${report.backend} ${report.precision}, ${report.threads} threads, median of ${report.runs.length}`,
    table(rows, painter(false), [false, true, true]),
    `limits before and after: reads ${reads} GB/s; ${peak} GMAC/s  (${report.machine.cpu}, Node ${report.machine.node})`,
    '',
  ].join('\n')
}
