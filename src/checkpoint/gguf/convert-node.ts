/**
 * Writes the model of a folder as a GGUF file: metadata from its architecture and tokenizer, tensors from its weights. Before any weight is
 * read, the header is read back and compared with the model, so no file is written that would be another model.
 */
import { basename, resolve } from 'node:path'
import type { Architecture, RopeScaling } from '../../architecture/architecture.ts'
import { claimFile } from '../../files/output-node.ts'
import { readJson, templateFiles } from '../../jinja/template-files.ts'
import { describe, isObject, type Json } from '../../json/json.ts'
import { storedBytes } from '../../ops/dtype.ts'
import { size } from '../../ops/tensor.ts'
import { gpt2Files } from '../../tokenizer/files.ts'
import { gpt2TokenizerJson } from '../../tokenizer/gpt2-files.ts'
import { openModel } from '../load.ts'
import { QuantizeError, type QuantizeOptions, type QuantizeResult } from '../quantize-node.ts'
import { type Folder, readText, type Source } from '../source.ts'
import { fileFolder } from '../source-node.ts'
import { ggufFolder } from './folder.ts'
import { type GgufPlan, type Outgoing, planGguf, writeGguf } from './output-node.ts'
import { divisorsOf, ggufArchitecture, metadataOf } from './to-metadata.ts'
import { type GgufTensor, ggufTensors } from './to-tensors.ts'
import { type TextFiles, textEntries } from './to-tokenizer.ts'
import { type Entry, headerBytes, metadataBytes } from './write-node.ts'

/**
 * @param directory a checkpoint in safetensors files, with its tokenizer and chat template where it has them
 * @throws QuantizeError when GGUF cannot say what the model is; CheckpointError when the model cannot be read or a value is not finite;
 * OutputExistsError when another file is at `out`
 */
export async function convertToGguf(directory: string, out: string, options: QuantizeOptions = {}): Promise<QuantizeResult> {
  if (!/\.gguf$/i.test(out)) throw new QuantizeError(`${out}: expected a name that ends with .gguf.`)
  const folder = await fileFolder(directory)
  const model = await openModel(folder, options.signal)
  try {
    const { architecture } = model
    const kind = ggufArchitecture(architecture)
    if (!kind)
      throw new QuantizeError(
        `${directory}: expected a model type that GGUF files have, got "${architecture.modelType}". Write safetensors files: give a directory as the output.`,
      )
    const divisors = divisorsOf(architecture).map(divisorTensor)
    const plan = planGguf([...divisors, ...ggufTensors(model, kind).map(outgoing)], options)
    const metadata = metadataBytes(
      [
        ...generalEntries(architecture, directory, kind, plan.fileType),
        ...metadataOf(architecture, kind),
        ...textEntries(await textFiles(folder), architecture, folder.name),
      ],
      plan.tensors.length,
    )
    const notes = await differences(directory, architecture, metadata, plan)
    await claimFile(out, { force: options.force })
    const result = await writeGguf(out, metadata, plan, options)
    return { ...result, bytesBefore: model.weightBytes, notes }
  } finally {
    await model.checkpoint.close()
  }
}

function generalEntries(architecture: Architecture, directory: string, kind: string, fileType: number): Entry[] {
  const { name, modelType } = architecture
  return [
    { key: 'general.architecture', type: 'text', value: kind },
    { key: 'general.type', type: 'text', value: 'model' },
    { key: 'general.name', type: 'text', value: name === modelType ? basename(resolve(directory)) : basename(name) },
    { key: 'general.quantization_version', type: 'u32', value: 2 },
    { key: 'general.file_type', type: 'u32', value: fileType },
  ]
}

const outgoing = ({ name, shape, columns, dtype, use, rows }: GgufTensor): Outgoing => ({
  name,
  shape,
  use,
  source: { name, file: name, dtype, count: size(shape) / columns, rowBytes: storedBytes(dtype, columns), rows },
})

function divisorTensor({ name, values }: ReturnType<typeof divisorsOf>[number]): Outgoing {
  const bytes = new Uint8Array(Float32Array.from(values).buffer)
  const rows = async (first: number, count: number) => bytes.slice(4 * first, 4 * (first + count))
  return { name, shape: [values.length], use: 'other', source: { name, file: name, dtype: 'f32', count: values.length, rowBytes: 4, rows } }
}

/** What the folder says about texts. */
async function textFiles(folder: Folder): Promise<TextFiles> {
  const read = async (name: string) => {
    const source = await folder.open(name)
    if (!source) return undefined
    try {
      return new TextEncoder().encode(await readText(source))
    } finally {
      await source.close()
    }
  }
  const config = (await readJson(read, 'tokenizer_config.json')) ?? {}
  const json = await readJson(read, 'tokenizer.json')
  const own = json ? undefined : await gpt2Files(read, config)
  return {
    tokenizer: own ? gpt2TokenizerJson(own.vocab, own.merges) : json,
    config,
    generation: (await readJson(read, 'generation_config.json')) ?? {},
    templates: await templateFiles(read, config.chat_template),
  }
}

/** Reads the header back as a model. @returns what is lost and does not change short texts @throws QuantizeError naming what else is lost */
async function differences(directory: string, wanted: Architecture, metadata: Uint8Array, plan: GgufPlan): Promise<string[]> {
  const header = headerBytes(metadata, plan.tensors)
  const last = plan.tensors.at(-1)!
  const small = await Promise.all(
    plan.tensors
      .filter(({ name }) => name.startsWith('rope_'))
      .map(async ({ source, offset }) => ({ offset, bytes: await source.rows(0, source.count) })),
  )
  const bytes = new Uint8Array(header.length + Math.max(0, ...small.map(({ offset, bytes }) => offset + bytes.length)))
  bytes.set(header)
  for (const one of small) bytes.set(one.bytes, header.length + one.offset)
  const source: Source = {
    name: 'the GGUF file to write',
    size: header.length + last.offset + last.byteLength,
    read: async (offset, into) => into.set(bytes.subarray(offset, offset + into.byteLength)),
    close: async () => {},
  }
  const folder: Folder = { name: '', list: async () => ['model.gguf'], open: async () => source }
  const { architecture: read } = await openModel(ggufFolder(folder, 'model.gguf'))
  const [notes, lost] = [new Set<string>(), new Set<string>()]
  for (const [path, had, has] of differing(comparable(wanted), comparable(read), '')) {
    const isWindow = path.endsWith('.slidingWindow') && has === null
    const what = `${path.replace(/^layers\.\d+\./, 'layers.*.')}: ${describe(had)} (programs will read ${describe(has)})`
    ;(isWindow ? notes : lost).add(what)
  }
  if (lost.size > 0) {
    const listed = [...lost].slice(0, 3).join('; ') + (lost.size > 3 ? `; and ${lost.size - 3} more` : '')
    throw new QuantizeError(`${directory}: a GGUF file cannot say ${listed}. Write safetensors files: give a directory as the output.`)
  }
  return [...notes]
}

/** All of an architecture that a GGUF file says: no names, no training, no dtypes, not how stretched rotations are spelled. */
function comparable({ layers, ...rest }: Architecture): Json {
  const { name, modelType, tensorLayout, eosTokenIds, bosTokenId, dropout, initializerRange, dtype, expertDtype, ...said } = rest
  const plain = layers.map(({ attention, feedForward, ...layer }) => ({
    ...layer,
    attention:
      'position' in attention && attention.position.kind === 'rope'
        ? { ...attention, position: { ...attention.position, scaling: divided(attention.position.scaling, rest, layers) } }
        : attention,
    feedForward: 'router' in feedForward ? { ...feedForward, router: { ...feedForward.router, auxLossCoef: 0 } } : feedForward,
  }))
  return { ...said, layers: plain }
}

/** The rule of Llama 3 as the divisors that it gives. */
function divided(scaling: RopeScaling, rest: Omit<Architecture, 'layers'>, layers: Architecture['layers']): unknown {
  if (scaling.kind === 'llama3') return divisorsOf({ ...rest, layers })[0]!.values
  const isRule =
    scaling.kind === 'longrope' &&
    scaling.attentionFactor === 1 &&
    JSON.stringify(scaling.longFactor) === JSON.stringify(scaling.shortFactor)
  return isRule ? scaling.longFactor : scaling
}

/** Every place where two plain values differ. Numbers may differ by the rounding to f32 and what follows from it. */
function* differing(a: unknown, b: unknown, path: string): Generator<[path: string, a: unknown, b: unknown]> {
  if (typeof a === 'number' && typeof b === 'number') {
    if (Math.abs(a - b) > 1e-6 * Math.abs(a)) yield [path, a, b]
  } else if ((isObject(a) && isObject(b)) || (Array.isArray(a) && Array.isArray(b))) {
    const [one, other] = [a as Json, b as Json]
    for (const key of new Set([...Object.keys(one), ...Object.keys(other)]))
      yield* differing(one[key], other[key], path ? `${path}.${key}` : key)
  } else if (a !== b) yield [path, a, b]
}
