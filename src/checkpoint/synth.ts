/**
 * Full-size checkpoints of random numbers in the published layout, for benchmarks and tests without the
 * real weights. Every byte is a function of seed, tensor and position, so threads and interruptions do
 * not change the result. Values are normal floating-point numbers of moderate size (no subnormals,
 * infinities or NaNs, whose speed differs), so a forward pass stays finite.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { fnv1a, lowbias32 } from '../random/hash.ts'
import { type PublishedTensor, publishedTensors } from './published.ts'
import { layoutHeader } from './safetensors.ts'
import { indexText, SHARD_BYTES, shardNames, shardTensors } from './shards.ts'

/** Stored numbers from 32 random bits: (bits & mask) + base. This fixes all but two exponent bits. */
export interface Pattern {
  readonly mask: number
  readonly base: number
}

const PATTERNS = {
  // ±2^-9 … ±2^-5: standard deviation 0.014.
  F32: { mask: 0x81ffffff, base: 0x3b000000 },
  BF16: { mask: 0x81ff81ff, base: 0x3b003b00 },
  F16: { mask: 0x8fff8fff, base: 0x18001800 },
  // 1 … 1.12, the gain of a norm.
  gainF32: { mask: 0x000fffff, base: 0x3f800000 },
  gainBF16: { mask: 0x000f000f, base: 0x3f803f80 },
  gainF16: { mask: 0x007f007f, base: 0x3c003c00 },
  // All FP4 codes; with scales 2^-8 and 2^-7 the standard deviation is 0.017.
  blocks: { mask: 0xffffffff, base: 0 },
  scales: { mask: 0x01010101, base: 0x77777777 },
} satisfies Record<string, Pattern>

/** A range of one file: bytes `begin` … `end` come from the header, or from one tensor's pattern. */
export interface Stretch {
  readonly begin: number
  readonly end: number
  readonly key: number
  readonly pattern: Pattern
}

/** One file of a synthetic checkpoint. */
export interface SynthFile {
  readonly name: string
  readonly header: Uint8Array
  readonly size: number
  /** In ascending order, without gaps, from the header's end to the file's. */
  readonly stretches: readonly Stretch[]
}

export interface SynthPlan {
  readonly files: readonly SynthFile[]
  /** The text of model.safetensors.index.json; undefined for a single file. */
  readonly index: string | undefined
  readonly tensorBytes: number
}

/** How the metadata of every synthetic file begins. */
export const SYNTHETIC = { synthetic: 'random numbers' }

/** Lays out the files of a random checkpoint. Nothing is generated yet. */
export function planSynth(architecture: Architecture, seed: number, shardBytes = SHARD_BYTES): SynthPlan {
  const { shards, tensorBytes } = shardTensors(publishedTensors(architecture), shardBytes)
  const names = shardNames(shards.length)
  const metadata = { format: 'pt', synthetic: `${SYNTHETIC.synthetic}, seed ${seed}` }
  const files = shards.map((tensors, number): SynthFile => {
    const { header, offsets, fileBytes } = layoutHeader(tensors, metadata)
    const stretches = tensors.map((tensor, i) => ({
      begin: offsets[i]!,
      end: offsets[i + 1] ?? fileBytes,
      key: keyOf(`${seed}:${tensor.name}`),
      pattern: patternOf(tensor, architecture),
    }))
    return { name: names[number]!, header, size: fileBytes, stretches }
  })
  return { files, index: indexText(shards, names, tensorBytes), tensorBytes }
}

function patternOf(tensor: PublishedTensor, architecture: Architecture): Pattern {
  if (tensor.role.kind === 'blocks') return PATTERNS.blocks
  if (tensor.role.kind === 'scales') return PATTERNS.scales
  const inner = tensor.sources[0]!.spec.name
  const gain = /\.gain$|Norm$/.test(inner)
  // With a unit offset (Gemma) the stored gain is small, like other weights.
  const offset = architecture.finalNorm.kind === 'rmsNorm' && architecture.finalNorm.unitOffset
  const dtype = tensor.dtype as 'F32' | 'BF16' | 'F16'
  return gain && !offset ? PATTERNS[`gain${dtype}`] : PATTERNS[dtype]
}

/** Fills `into` with the file's bytes from `offset` on. They do not depend on how a file is divided into calls. */
export function synthesize(file: Pick<SynthFile, 'header' | 'stretches'>, offset: number, into: Uint8Array): void {
  const end = offset + into.byteLength
  if (offset < file.header.byteLength) into.set(file.header.subarray(offset, Math.min(end, file.header.byteLength)))
  for (const stretch of file.stretches) {
    const from = Math.max(offset, stretch.begin)
    const to = Math.min(end, stretch.end)
    if (from < to) fillStretch(stretch, from - stretch.begin, into.subarray(from - offset, to - offset))
  }
}

function fillStretch({ key, pattern }: Stretch, at: number, into: Uint8Array): void {
  const firstWord = Math.floor(at / 4)
  const skip = at - firstWord * 4
  const count = Math.ceil((skip + into.byteLength) / 4)
  if (skip === 0 && into.byteOffset % 4 === 0 && into.byteLength % 4 === 0) {
    randomWords(key, pattern, firstWord, new Uint32Array(into.buffer, into.byteOffset, count))
    return
  }
  const words = new Uint32Array(count)
  randomWords(key, pattern, firstWord, words)
  into.set(new Uint8Array(words.buffer, skip, into.byteLength))
}

/** Word n is a hash of n and the key. */
function randomWords(key: number, { mask, base }: Pattern, first: number, into: Uint32Array): void {
  // The upper half of the word number changes every 16 GiB and is folded into the key.
  for (let i = 0; i < into.length; ) {
    const high = Math.floor((first + i) / 2 ** 32)
    const seed = (key ^ Math.imul(high + 1, 0x9e3779b9)) | 0
    const low = (first + i - high * 2 ** 32) | 0
    const count = Math.min(into.length - i, 2 ** 32 - (low >>> 0))
    for (let n = 0; n < count; n++) into[i + n] = (lowbias32((low + n) ^ seed) & mask) + base
    i += count
  }
}

/** Neighbouring names get keys that are far apart. */
function keyOf(text: string): number {
  const hash = fnv1a(text)
  return Math.imul(hash ^ (hash >>> 16), 0x45d9f3b) | 0
}
