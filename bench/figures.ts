/**
 * The figures that pages show, from what the runs wrote: medians, rates and ratios, rounded as they are printed.
 * A file of bench/results holds raw runs or, where these were not kept, figures (their `from` says whence).
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { EngineCase, EngineResults } from './engine/run.ts'
import type { LoadingCase, LoadingResults } from './loading.ts'
import { median, type PeerCase, type PeerResults } from './peers/visit.ts'
import type { TrainingResults } from './train.ts'

export interface PeerRow {
  engine: 'lineage' | 'llama.cpp'
  precision: string
  threads: number
  /** Tokens per second. */
  prompt: number
  answer: number
  /** Lineage over the fastest setting of llama.cpp; absent for llama.cpp. */
  promptRatio?: number
  answerRatio?: number
  /** Bytes read per second over the machine's read bandwidth, for faithful precision. */
  bandwidthShare?: number
  loadSeconds: number
  peakGB: number
}

export interface PeerFigures {
  name: string
  prompt: number
  generate: number
  rows: PeerRow[]
  readGBPerSecond: number[]
  decodeGB: number
  loadAverage: number
}

export interface EngineFigures {
  name: string
  precision: string
  batchRatio: number
  batchTokensPerSecond: number
  /** Share of a decode step's speed that is lost at 8,192 positions; absent where the context is shorter. */
  slower?: number
  firstTokenSeconds: number
  timerMs: number
  weightsGB: number
  cachesGB: number
  residentGB: number
  peakGB: number
}

export interface LoadingFigures {
  name: string
  sizeGB: number
  from: 'disk' | 'file cache'
  /** GB/s. */
  plain: number
  kept: number
  /** GB/s, and the share of `plain` and of `kept`. */
  faithful: [rate: number, ofPlain: number, ofKept: number]
  fast: [rate: number, ofPlain: number, ofKept: number]
}

/** One thread and weights of one type, as bench/kernels/kernels.ts prints them: medians. */
export interface TypeFigures {
  type: string
  precision: 'faithful' | 'fast'
  /** What one answer reads of the weights, and its share of the bandwidth measured beside it. */
  answerGBPerSecond: number
  bandwidthShare: number
  /** 10^9 multiply-adds per second of a prompt of 128. */
  promptGMAC: number
}

/** Our server and others on one file under bursts (bench/peers/server.ts). Times in ms. */
export interface ServerFigures {
  name: string
  prompt: number
  generate: number
  slots: number
  rows: ServerRow[]
  machines: { server: string; readySeconds: number; peakMiB: number }[]
  loadAverage: number
}

export interface ServerRow {
  server: string
  atOnce: number
  requestsPerSecond: number
  tokensPerSecond: number
  firstP50: number
  firstP95: number
  betweenP50: number
}

/** What GPUs should reach when they decode one sequence (bench/gpu/roofline.ts). Not measured. */
export interface RooflineFigures {
  name: string
  decodeGB: number
  dispatches: number
  /** To record and encode a token on a device that computes nothing: the median. */
  encodeMs: number
  /** The same in the fastest tenth. */
  encodeFastMs: number
  /** To submit it and ask for the result. */
  submitMs: number
  /** At a dispatch of 3 µs and of 10 µs. */
  tokensPerSecond: [device: string, fast: number, slow: number][]
}

/** Steps of nanoGPT's small recipe: medians. */
export interface TrainingFigures {
  threads: number
  lineageMs: number
  torchMs: number
  /** PyTorch's time over Lineage's: of all steps, and of each round. */
  ratio: number
  rounds: number[]
  gflops: number
  /** Of the f32 peak measured in the same run. */
  peakShare: number
  loadAverage: number
}

interface Run<Kind extends string, Figures> {
  kind: Kind
  /** Where the figures come from, if the raw runs were not kept. */
  from?: string
  date: string
  cpu: string
  node: string
  figures: Figures[]
}
export type Results =
  | (Run<'peers', PeerFigures> & { peer: string })
  | Run<'engine', EngineFigures>
  | Run<'loading', LoadingFigures>
  | Run<'types', TypeFigures>
  | (Run<'training', TrainingFigures> & { peer: string })
  | Run<'server', ServerFigures>
  | Run<'roofline', RooflineFigures>
type Raw = PeerResults | EngineResults | LoadingResults | TrainingResults

/** All files of a folder, in order of their names, as figures. */
export function resultsIn(folder: string = fileURLToPath(new URL('results', import.meta.url))): Results[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => figures(JSON.parse(readFileSync(join(folder, name), 'utf8')) as Raw | Results))
}

export function figures(results: Raw | Results): Results {
  if ('figures' in results) return results
  const { date, cpu, node } = results
  if (results.kind === 'peers') return { kind: 'peers', date, cpu, node, peer: results.peer, figures: results.cases.map(peerFigures) }
  if (results.kind === 'training')
    return { kind: 'training', date, cpu, node, peer: results.peer ?? '', figures: [trainingFigures(results)] }
  if (results.kind === 'engine') return { kind: 'engine', date, cpu, node, figures: results.cases.map(engineFigures) }
  return { kind: 'loading', date, cpu, node, figures: results.cases.map(loadingFigures) }
}

const round = (value: number, decimals: number): number => Number(value.toFixed(decimals))

function peerFigures({ name, prompt, generate, series, readBytesPerSecond, decodeBytes, loadAverage }: PeerCase): PeerFigures {
  const rates = series.map(({ visits }) => ({
    prompt: (1000 * prompt) / median(visits.flatMap(({ prefillMs }) => prefillMs)),
    answer: 1000 / median(visits.flatMap(({ decodeMs }) => decodeMs)),
  }))
  const best = (of: 'prompt' | 'answer') => Math.max(...rates.filter((_, i) => series[i]!.engine === 'llama.cpp').map((rate) => rate[of]))
  const rows = series.map(({ engine, precision, threads, visits }, i): PeerRow => {
    const { prompt, answer } = rates[i]!
    const ours = engine === 'lineage'
    return {
      engine,
      precision,
      threads,
      prompt: round(prompt, 1),
      answer: round(answer, 2),
      promptRatio: ours ? round(prompt / best('prompt'), 2) : undefined,
      answerRatio: ours ? round(answer / best('answer'), 2) : undefined,
      bandwidthShare: ours && precision === 'faithful' ? round((answer * decodeBytes) / median(readBytesPerSecond), 2) : undefined,
      loadSeconds: round(median(visits.map(({ loadMs }) => loadMs)) / 1000, 1),
      peakGB: round(median(visits.map(({ peakResidentBytes }) => peakResidentBytes)) / 1e9, 1),
    }
  })
  const readGBPerSecond = readBytesPerSecond.map((value) => round(value / 1e9, 1))
  return { name, prompt, generate, rows, readGBPerSecond, decodeGB: round(decodeBytes / 1e9, 2), loadAverage: round(loadAverage, 1) }
}

function trainingFigures({ threads, lineage, torch, gflop, peakGflops, loadAverage }: TrainingResults): TrainingFigures {
  const [ours, theirs] = [median(lineage.flat()), median(torch.flat())]
  return {
    threads,
    lineageMs: round(ours, 1),
    torchMs: round(theirs, 1),
    ratio: round(theirs / ours, 2),
    rounds: lineage.map((times, i) => round(median(torch[i]!) / median(times), 2)),
    gflops: round((1000 * gflop) / ours, 1),
    peakShare: round((1000 * gflop) / ours / peakGflops, 2),
    loadAverage: round(loadAverage, 1),
  }
}

function engineFigures({ name, precision, probe, generate, firstTokenMs }: EngineCase): EngineFigures {
  const { batch, timer } = probe
  const [near, far] = Object.values(probe.stepMs)
  return {
    name,
    precision,
    batchRatio: round(median(batch[8]) / median(batch[1]), 2),
    batchTokensPerSecond: round(median(batch[8]), 1),
    slower: near && far ? round(1 - near / far, 2) : undefined,
    firstTokenSeconds: round(median(firstTokenMs) / 1000, 2),
    timerMs: round(Math.max(timer.prefill.p99, timer.decode.p99), 1),
    weightsGB: round(generate.weights / 1e9, 2),
    cachesGB: round(generate.caches / 1e9, 2),
    residentGB: round(generate.residentBytes / 1e9, 2),
    peakGB: round(generate.peakResidentBytes / 1e9, 2),
  }
}

function loadingFigures({ name, bytes, from, plain, kept, faithful, fast }: LoadingCase): LoadingFigures {
  const rate = (seconds: number[]) => bytes / median(seconds) / 1e9
  const beside = (seconds: number[]): [number, number, number] => [
    round(rate(seconds), 2),
    round(rate(seconds) / rate(plain), 2),
    round(rate(seconds) / rate(kept), 2),
  ]
  return {
    name,
    sizeGB: round(bytes / 1e9, 2),
    from,
    plain: round(rate(plain), 2),
    kept: round(rate(kept), 2),
    faithful: beside(faithful),
    fast: beside(fast),
  }
}
