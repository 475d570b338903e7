/**
 * Writes docs/families.md: the families of models, and what works with which. The tables come from the code, the fixtures and the presets;
 * a test writes the page again and compares.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Architecture } from '../src/architecture/architecture.ts'
import { configFromJson } from '../src/architecture/config-json.ts'
import { GENERAL } from '../src/architecture/families/general.ts'
import { FAMILIES, type Family, MODEL_TYPES } from '../src/architecture/families.ts'
import { findPreset, presets } from '../src/architecture/presets.ts'
import { tensorNames } from '../src/architecture/tensor-names.ts'
import { forward } from '../src/model/transformer.ts'
import { leaves, weightSpecs } from '../src/model/weights.ts'
import { referenceTraining } from '../src/ops/training/backend.ts'
import { buildWeights, initializeParameters, parameterLayout } from '../src/train/parameters.ts'
import { Tape } from '../src/train/tape.ts'
import type { FamilyChat } from './oracles/family-chat.ts'
import { root } from './sources.ts'

const FIXTURES = join(root, 'test', 'fixtures')
const readJson = (...path: string[]): unknown => JSON.parse(readFileSync(join(FIXTURES, ...path), 'utf8'))

/** The tiny checkpoints with golden values, by model type. */
function tinyModels(): Map<string, { name: string; architecture: Architecture }[]> {
  const found = new Map<string, { name: string; architecture: Architecture }[]>()
  for (const name of readdirSync(join(FIXTURES, 'checkpoints'))) {
    if (!existsSync(join(FIXTURES, 'checkpoints', name, 'golden.safetensors'))) continue
    const architecture = configFromJson(readJson('checkpoints', name, 'config.json'), name)
    found.set(architecture.modelType, [...(found.get(architecture.modelType) ?? []), { name, architecture }])
  }
  return found
}

const published = (modelType: string): string[] => presets.filter(({ config }) => config.model_type === modelType).map(({ name }) => name)

/** 'bf16, f16, f32; experts also MXFP4': how the weights may be stored. */
function storedAs(architecture: Architecture): string {
  const names = tensorNames(architecture)
  const packed = leaves(weightSpecs(architecture)).some(({ name }) => names.recipes(name).some(({ form }) => form === 'mxfp4'))
  return packed ? 'BF16, F16, F32; experts also MXFP4' : 'BF16, F16, F32'
}

/** Whether every matrix has a published module, which an adapter can name. */
function takesAdapters(architecture: Architecture): boolean {
  const names = tensorNames(architecture)
  return leaves(weightSpecs(architecture)).every(({ name, use }) => use === 'vector' || names.recipes(name).length > 0)
}

/** Positions of the one sequence that `trains` takes a loss of. */
const ROWS = 12

/** Whether a loss of the architecture has a finite gradient that reaches every parameter. */
export function trains(architecture: Architecture): boolean {
  const layout = parameterLayout(architecture)
  const start = new Float32Array(layout.length)
  initializeParameters({ ...architecture, initializerRange: 0.3 }, layout, start, 4)
  const backend = referenceTraining()
  const [values, gradients] = [Float64Array.from(start, (value) => value + 0.01), new Float64Array(layout.length)]
  const weights = buildWeights(architecture, layout, ({ spec, at, count }) =>
    backend.tensor(spec.shape, values.subarray(at, at + count), gradients.subarray(at, at + count), spec.name),
  )
  backend.reset(5)
  const tape = new Tape(backend)
  const ids = Int32Array.from({ length: ROWS }, (_, i) => (i * 37) % architecture.vocabSize)
  const batch = { ids, slots: new Int32Array(ROWS), positions: ids.map((_, i) => i) }
  const loss = tape.crossEntropy(
    forward(tape, architecture, weights, batch),
    ids.map((id) => (id + 1) % architecture.vocabSize),
    1 / ROWS,
  )
  tape.backward(tape.withBalance(loss))
  return layout.parameters.every(({ spec, at, count }) => {
    const own = gradients.subarray(at, at + count)
    // What a router adds to choose experts has no gradient.
    return own.every(Number.isFinite) && (spec.name.endsWith('.routerCorrection') || own.some((value) => value !== 0))
  })
}

const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

function modelRows(family: Family, tiny: ReturnType<typeof tinyModels>): string[][] {
  return Object.entries(family.modelTypes)
    .filter(([modelType, { withoutType }]) => !withoutType && modelType !== GENERAL)
    .map(([modelType, { wrapper }]) => {
      const checked = tiny.get(modelType) ?? []
      const known = published(modelType)
      const neverPublished = known.length > 0 && known.every((name) => findPreset(name)!.repositories.length === 0)
      if (neverPublished) return [`\`${modelType}\``, known.join(', '), 'never published: sizes only', '–', '–', '–']
      const { architecture } = checked[0]!
      return [
        `\`${modelType}\`${wrapper ? `, and the text part of \`${wrapper}\`` : ''}`,
        known.join(', ') || '–',
        storedAs(architecture),
        takesAdapters(architecture) ? 'yes' : 'no',
        checked.map(({ name }) => name).join(', '),
        checked.every((model) => trains(model.architecture)) ? 'yes' : 'no',
      ]
    })
}

/** The page as text. */
export function familiesPage(): string {
  const tiny = tinyModels()
  const models = FAMILIES.flatMap((family) => modelRows(family, tiny))
  const wrappers = [...MODEL_TYPES].flatMap(([, { wrapper }]) => (wrapper ? [`\`${wrapper}\``] : []))
  const chat = (readJson('family-chat.json') as FamilyChat[]).map((row) => [row.repository, row.tools, row.system, row.thinking])
  return `# Families of models, and what works with what

A checkpoint is read when its config.json has one of the model types below, whatever its name and size. \`node scripts/families-page.ts\` writes this page from the code, the
presets and the tiny checkpoints of the tests; a test compares.

## Checkpoints, adapters, backends, training

Weights are read from safetensors files, one or in shards, and from GGUF files. Matrices that other programs packed stay packed and are decoded in the kernels: FP8 (E4M3 with scales for blocks, rows or the
whole matrix), AWQ (4 bits, gemm) and GPTQ (4 and 8 bits). Where 32 neighbouring inputs do not share a
group (act-order, groups of 16), or an FP8 width is no multiple of 128, the columns are put in the order of their groups and filled up with zeros, and the wasm backend brings activations into the same order;
experts of this kind, and matrices whose scales are not f16, are held as f32, without rounding. \`desc_act\` must agree with the list of groups. Pickles and other
packings (bitsandbytes, NVFP4, ModelOpt) are refused by name. [\`lineage quantize\`](quantize.md) packs matrices into 4 bits. "Checked by" are the tiny
checkpoints whose logits, hidden states and greedy answers equal those of transformers, on the reference backend within 1e-4 and on the wasm backend within 1e-3 of the largest value; answers
are the same to the last bit cached or not, in chunks or whole, alone or in a batch. "Adapters": LoRA on every matrix ([adapters](adapters.md)). "Training": the loss gives every
parameter a finite gradient on the training backend.

${table(['model type', 'published sizes known by name', 'weights stored as', 'adapters', 'checked by', 'training'], models)}

- Of multimodal files (${wrappers.join(', ')}) the text part is read. The tensors of the vision part are skipped, and requests with pictures are refused.
- LongRoPE (Phi-3 and Phi-4-mini) has two sets of factors. The short ones hold for a context of up to \`original_max_position_embeddings\` (4,096), which is the default. With a longer
  one, such as \`--context 16384\`, the long factors hold for every position. transformers changes over when a sequence grows past that length.
- DeepSeek-V3's files hold modules that predict further tokens (the layers behind the last one); they are skipped. The numbers that its routers add to choose experts stay
  as they are in training. With \`norm_topk_prob\` the weights of \`deepseek_v2\` are normalised and not scaled, as in the code of the repositories; transformers scales them and does not normalise.
- YaRN's \`attn_factor\` (DeepSeek-R1-0528-Qwen3-8B) multiplies the factor on cos and sin; transformers ignores it.
- Gemma's factor on embeddings is rounded to the type of the weights in the file, as the published code does.
- \`${GENERAL}\` is the layout of this project for models of no published family: the slots stand in config.json as they are. \`lineage train\` saves the steps between GPT-2 and gpt-oss in it; other programs do not read it.
- A model type that is not read is an error that names the model types of its family.

## Conversations

How a conversation is written is a matter of the checkpoint's own chat template ([templates](templates.md)), so the same family may have several answers. These are templates as llama.cpp
distributes them, read by the code: whether calls of tools are read back, where a system prompt goes, and whether thinking has levels or a switch.

${table(['model', 'tools', 'system prompt', 'thinking'], chat)}

A model without a template continues plain text. Tools of a model whose template knows none can be described to it with \`--generic-tools\`. Schemas, grammars and choices bind the answers of every family.
`
}

if (import.meta.main) {
  writeFileSync(join(root, 'docs', 'families.md'), familiesPage())
  console.log('docs/families.md')
}
