/**
 * A GGUF of random numbers in GPT-2's shapes, for llama.cpp: speed does not depend on the values. Format: GGUF 3; tensor names and
 * keys as llama.cpp reads them for the architecture `gpt2`; a vocabulary of single bytes and fillers.
 *   node bench/peers/gpt2-gguf.ts OUT [f32|f16|q8_0] [PRESET]
 */
import { closeSync, openSync, renameSync, writeSync } from 'node:fs'
import { preset } from '../../src/architecture/presets.ts'
import { multiHeadOf } from '../../src/architecture/slots.ts'
import { uniform } from '../../src/random/counter.ts'

type Type = keyof typeof TYPES
/** Id, values per block, bytes per block. */
const TYPES = { f32: [0, 1, 4], f16: [1, 1, 2], q8_0: [8, 32, 34] } as const
const ALIGNMENT = 32

const [out, type = 'f16', name = 'gpt2'] = process.argv.slice(2) as [string, Type?, string?]
const architecture = preset(name)
if (!out || !TYPES[type] || architecture?.embedding.position.kind !== 'learned')
  throw new Error('usage: gpt2-gguf.ts OUT [f32|f16|q8_0] [PRESET]')
const { hiddenSize: D, vocabSize: V, layers } = architecture
const { heads } = multiHeadOf(architecture)
const P = architecture.embedding.position.length
const F = layers[0]!.feedForward.intermediateSize

// Dimensions of a GGUF run fastest first.
const tensors: { name: string; shape: number[]; type: Type }[] = []
const matrix = (name: string, ...shape: number[]) => tensors.push({ name: `${name}.weight`, shape, type })
const vector = (name: string, length: number) => tensors.push({ name, shape: [length], type: 'f32' })
const norm = (name: string) => [vector(`${name}.weight`, D), vector(`${name}.bias`, D)]
const linear = (name: string, inputs: number, outputs: number) => [matrix(name, inputs, outputs), vector(`${name}.bias`, outputs)]
matrix('token_embd', D, V)
tensors.push({ name: 'position_embd.weight', shape: [D, P], type: 'f32' })
norm('output_norm')
for (const n of layers.keys()) {
  norm(`blk.${n}.attn_norm`)
  linear(`blk.${n}.attn_qkv`, D, 3 * D)
  linear(`blk.${n}.attn_output`, D, D)
  norm(`blk.${n}.ffn_norm`)
  linear(`blk.${n}.ffn_up`, D, F)
  linear(`blk.${n}.ffn_down`, F, D)
}

const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer)
const u64 = (value: number) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer)
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)])
const key = (name: string, type: number, value: Buffer) => Buffer.concat([text(name), u32(type), value])
const list = (type: number, values: Buffer[]) => Buffer.concat([u32(type), u64(values.length), ...values])
const keys = [
  key('general.architecture', 8, text('gpt2')),
  key('general.name', 8, text(`synthetic ${name}`)),
  ...Object.entries({
    'gpt2.block_count': layers.length,
    'gpt2.context_length': P,
    'gpt2.embedding_length': D,
    'gpt2.feed_forward_length': F,
    'gpt2.attention.head_count': heads,
    'tokenizer.ggml.bos_token_id': V - 1,
    'tokenizer.ggml.eos_token_id': V - 1,
  }).map(([name, value]) => key(name, 4, u32(value))),
  key('gpt2.attention.layer_norm_epsilon', 6, Buffer.from(Float32Array.of(1e-5).buffer)),
  key('tokenizer.ggml.model', 8, text('gpt2')),
  key('tokenizer.ggml.pre', 8, text('gpt-2')),
  key(
    'tokenizer.ggml.tokens',
    9,
    list(
      8,
      Array.from({ length: V }, (_, id) => text(id < 256 ? String.fromCharCode(0x100 + id) : `<${id}>`)),
    ),
  ),
  key(
    'tokenizer.ggml.token_type',
    9,
    list(
      5,
      Array.from({ length: V }, () => u32(1)),
    ),
  ),
  key('tokenizer.ggml.merges', 9, list(8, [])),
]

const bytesOf = ({ shape, type }: { shape: number[]; type: Type }) => (shape.reduce((a, b) => a * b) / TYPES[type][1]) * TYPES[type][2]
const padded = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
let offset = 0
const entries = tensors.map((tensor) => {
  const entry = Buffer.concat([
    text(tensor.name),
    u32(tensor.shape.length),
    ...tensor.shape.map(u64),
    u32(TYPES[tensor.type][0]),
    u64(offset),
  ])
  offset += padded(bytesOf(tensor))
  return entry
})
const head = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(keys.length), ...keys, ...entries])

const file = openSync(`${out}.tmp`, 'w')
writeSync(file, Buffer.concat([head, Buffer.alloc(padded(head.length) - head.length)]))
for (const [n, tensor] of tensors.entries()) writeSync(file, randomBytes(tensor.type, padded(bytesOf(tensor)), n))
closeSync(file)
renameSync(`${out}.tmp`, out)

/** Values of about ±0.02; a short pattern repeated, with ordinary numbers only (denormals would be slow). */
function randomBytes(type: Type, bytes: number, seed: number): Uint8Array {
  const value = (i: number) => 0.04 * (uniform(seed, i) - 0.5)
  const pattern = type === 'f32' ? Float32Array.from({ length: 34 * 256 }, (_, i) => value(i)) : new Uint8Array(34 * 1024)
  const halves = new Float16Array(pattern.buffer)
  if (type === 'f16') for (let i = 0; i < halves.length; i++) halves[i] = value(i)
  if (type === 'q8_0') {
    const all = new Uint8Array(pattern.buffer)
    for (let i = 0; i < all.length; i++) all[i] = 256 * uniform(seed, i)
    for (let block = 0; block < pattern.byteLength / 34; block++) halves[block * 17] = 0.02 / 73
  }
  return Buffer.alloc(bytes, new Uint8Array(pattern.buffer))
}
