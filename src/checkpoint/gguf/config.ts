/**
 * The metadata of a GGUF file as the config.json of its family, which the family's own file then reads and checks. Says nothing
 * about tensors but their names and shapes.
 */
import { isInteger } from '../../json/fields.ts'
import type { Json } from '../../json/json.ts'
import { WrongFormatError } from '../errors.ts'
import { ARCHITECTURES, type Parts } from './architectures.ts'
import type { GgufHeader } from './header.ts'
import { MetadataFields } from './metadata.ts'
import { type RopeFactors, ropeScaling } from './rope.ts'
import { endIds } from './special-ids.ts'

/** Architectures whose keys and values are of other lengths, or whose numbers of heads differ by layer: their families read these. */
const LATENT = new Set(['deepseek2'])
const MIXED = new Set(['jamba'])

/** What to take instead of a model whose architecture goes by another name in common files. */
const OTHERS: Record<string, string> = {
  gptoss: "This is Ollama's own form of gpt-oss: take the file of ggml-org/gpt-oss-20b-GGUF, or lineage pull gpt-oss-20b.",
}

/** Architectures by their GGUF names. */
export const ggufArchitectures: readonly string[] = Object.keys(ARCHITECTURES)

/**
 * The config.json that says what the metadata say.
 * @throws CheckpointError for an architecture that is not read, a file that is no model, or values of wrong types
 */
export function configFromMetadata(
  file: string,
  { metadata, tensors }: Pick<GgufHeader, 'metadata' | 'tensors'>,
  factors: RopeFactors,
): Json {
  const all = new MetadataFields(file, metadata)
  const name = all.text('general.architecture') ?? all.fail('general.architecture', 'the name of an architecture', undefined)
  refuseOtherKinds(file, name, all.text('general.type'))
  const translate = Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined
  if (!translate) {
    throw new WrongFormatError({
      file,
      expected: `one of the architectures ${ggufArchitectures.join(', ')}`,
      came: `"${name.slice(0, 40)}"`,
      remedy: OTHERS[name] ?? 'Models of this architecture are not read: choose a model of another family.',
    })
  }
  if (tensors.size === 0) {
    const remedy = 'Take the file of the whole model.'
    throw new WrongFormatError({ file, expected: 'a model with tensors', came: 'a file with metadata only, perhaps a vocabulary', remedy })
  }
  const embedding = tensors.get('token_embd.weight')
  if (!embedding) {
    const remedy = 'Take the file of the whole model.'
    throw new WrongFormatError({ file, expected: 'the tensor "token_embd.weight"', came: 'none', remedy })
  }
  const fields = new MetadataFields(file, metadata, `${name}.`)
  const { modelType, rest } = translate(fields)
  const hidden = fields.required('embedding_length')
  const heads = fields.same('attention.head_count') ?? fields.fail('attention.head_count', 'a number', undefined)
  const keyLength = fields.number('attention.key_length')
  const headDim = keyLength ?? hidden / heads
  if (!LATENT.has(name) && fields.number('attention.value_length') !== keyLength)
    fields.fail('attention.value_length', `${keyLength}, the length of keys,`, fields.raw('attention.value_length'))
  const rotary = fields.number('rope.dimension_count') ?? headDim
  mustHoldExperts(fields, tensors)
  const parts: Parts = { fields, tensors, layers: fields.required('block_count'), headDim }
  return {
    model_type: modelType,
    _name_or_path: all.text('general.name'),
    torch_dtype: TORCH_DTYPES[embedding.dtype],
    vocab_size: embedding.shape[0],
    tie_word_embeddings: !tensors.has('output.weight'),
    hidden_size: hidden,
    num_hidden_layers: parts.layers,
    num_attention_heads: heads,
    num_key_value_heads: MIXED.has(name) ? undefined : (fields.same('attention.head_count_kv') ?? heads),
    head_dim: keyLength,
    intermediate_size: fields.same('feed_forward_length'),
    max_position_embeddings: fields.required('context_length'),
    rms_norm_eps: fields.number('attention.layer_norm_rms_epsilon'),
    rope_theta: fields.number('rope.freq_base') ?? 10000,
    rope_scaling: ropeScaling(fields, factors, modelType),
    partial_rotary_factor: rotary === headDim ? undefined : rotary / headDim,
    bos_token_id: tokenId(all, 'tokenizer.ggml.bos_token_id'),
    eos_token_id: endIds(all),
    ...rest?.(parts),
  }
}

const TORCH_DTYPES: Record<string, string> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }

function refuseOtherKinds(file: string, architecture: string, type = 'model'): void {
  const problem = (came: string, remedy: string) => new WrongFormatError({ file, expected: 'a language model', came, remedy })
  if (type === 'adapter') throw problem('an adapter (LoRA) as GGUF', 'Load its base, and take the adapter in the layout of PEFT.')
  if (type === 'mmproj' || architecture === 'clip')
    throw problem('the projector of a model for images', 'Take the file of the language model beside it.')
  if (type === 'imatrix') throw problem('an importance matrix for quantising', 'Take the file of the model.')
}

const tokenId = (fields: MetadataFields, key: string): number | null => {
  const id = fields.number(key)
  return isInteger(id, 0, 2 ** 31) ? (id as number) : null
}

/** The number of experts is that of the tensors. weights.ts would find another one too, but could not name the key of the file. */
function mustHoldExperts(fields: MetadataFields, tensors: Parts['tensors']): void {
  const count = fields.raw('expert_count')
  if (typeof count !== 'number' || count <= 1) return
  const [name, entry] = [...tensors].find(([tensor]) => tensor.endsWith('_exps.weight')) ?? []
  // Old files have a tensor for each expert.
  const apart = new Set([...tensors.keys()].flatMap((tensor) => /\.ffn_down\.(\d+)\.weight$/.exec(tensor)?.[1] ?? []))
  const held = entry?.shape[0] ?? apart.size
  if (held === 0) fields.fail('expert_count', 'none, as there is no tensor of experts,', count)
  if (held !== count) fields.fail('expert_count', `${held}, as ${name ?? 'blk.N.ffn_down.E.weight'} has,`, count)
}
