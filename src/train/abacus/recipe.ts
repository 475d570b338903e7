/**
 * The recipe of the embedded model: its configuration, its data and its settings. `lineage train abacus` follows it.
 */
import type { Architecture } from '../../architecture/architecture.ts'
import { configFromJson } from '../../architecture/config-json.ts'
import { mixSeeds } from '../../random/hash.ts'
import { type Random, random } from '../../random/stream.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { tokenizerFromJson } from '../../tokenizer/tokenizer-json.ts'
import { type Packable, pack } from '../data/pack.ts'
import type { Example } from '../shard.ts'
import { DEFAULT_SETTINGS, type TrainingData, type TrainingSettings } from '../trainer.ts'
import { drawDialogue } from './dialogues.ts'
import { DialogueEncoder, drawExample, packDialogues, type Selection } from './encode.ts'
import { abacusTokenizerJson } from './tokenizer.ts'

export const VOCABULARY = 1024

/** A published config.json of gpt-oss with small numbers. */
export function abacusConfig(): Record<string, unknown> {
  const layers = 4
  return {
    architectures: ['GptOssForCausalLM'],
    model_type: 'gpt_oss',
    vocab_size: VOCABULARY,
    hidden_size: 128,
    num_hidden_layers: layers,
    layer_types: Array.from({ length: layers }, (_, i) => (i % 2 === 0 ? 'sliding_attention' : 'full_attention')),
    sliding_window: 64,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    head_dim: 32,
    intermediate_size: 256,
    num_local_experts: 8,
    num_experts_per_tok: 2,
    experts_per_token: 2,
    hidden_act: 'silu',
    swiglu_limit: 7.0,
    rms_norm_eps: 1e-5,
    attention_bias: true,
    attention_dropout: 0.0,
    rope_theta: 10000,
    rope_scaling: {
      rope_type: 'yarn',
      factor: 4.0,
      original_max_position_embeddings: 256,
      beta_fast: 32.0,
      beta_slow: 1.0,
      truncate: false,
    },
    initial_context_length: 256,
    max_position_embeddings: 1024,
    initializer_range: 0.05,
    router_aux_loss_coef: 0.01,
    output_router_logits: false,
    tie_word_embeddings: false,
    eos_token_id: VOCABULARY - 8,
    pad_token_id: VOCABULARY - 1,
    torch_dtype: 'bfloat16',
    quantization_config: {
      quant_method: 'mxfp4',
      modules_to_not_convert: ['model.layers.*.self_attn', 'model.layers.*.mlp.router', 'model.embed_tokens', 'lm_head'],
    },
    use_cache: true,
  }
}

export const abacusArchitecture = (): Architecture => configFromJson(abacusConfig(), 'abacus/config.json')

/** The stages in order; their settings for a run of full length. */
export const STAGES = ['pretrain', 'dialogues', 'wordings', 'reinforce'] as const
export type StageName = (typeof STAGES)[number]

const COMMON: TrainingSettings = { ...DEFAULT_SETTINGS, beta2: 0.98, weightDecay: 0.05, clip: 1, evaluateEvery: 200, saveEvery: 100 }

const SETTINGS: Record<StageName, TrainingSettings> = {
  /** Questions, workings and answers as plain text: every token counts. */
  pretrain: { ...COMMON, steps: 1600, warmup: 150, learningRate: 3e-3, finalLearningRate: 1.5e-3 },
  /** Dialogues; the experts are read through MXFP4 in the last fifth. */
  dialogues: { ...COMMON, steps: 6600, warmup: 50, learningRate: 2.5e-3, finalLearningRate: 5e-5, quantiseFrom: 5280 },
  /** Dialogues among which are unfamiliar wordings. */
  wordings: { ...COMMON, steps: 5000, warmup: 20, learningRate: 1e-3, finalLearningRate: 3e-5, quantiseFrom: 1 },
  /** Answers that are checked. */
  reinforce: {
    ...COMMON,
    steps: 60,
    warmup: 6,
    learningRate: 3.5e-4,
    finalLearningRate: 3e-5,
    weightDecay: 0,
    beta2: 0.99,
    evaluateEvery: 20,
    saveEvery: 10,
    quantiseFrom: 1,
  },
}

/** @param scale factor on the steps of the stage, to try the recipe at a small size */
export function stageSettings(stage: StageName, seed: number, scale = 1): TrainingSettings {
  const full = SETTINGS[stage]
  const scaled = (steps: number) => Math.max(2, Math.round(steps * scale))
  if (scale === 1) return { ...full, seed }
  const [steps, evaluateEvery] = [scaled(full.steps), Math.max(10, scaled(full.evaluateEvery))]
  const quantiseFrom = full.quantiseFrom && Math.min(scaled(full.quantiseFrom), steps)
  return {
    ...full,
    steps,
    evaluateEvery,
    quantiseFrom: full.quantiseFrom === 1 ? 1 : quantiseFrom,
    warmup: scaled(full.warmup),
    saveEvery: scaled(full.saveEvery),
    seed,
  }
}

/** Greedy decoding by default. Ends at <|return|>, <|endoftext|> and <|call|>. */
export const ABACUS_GENERATION = {
  do_sample: false,
  eos_token_id: [VOCABULARY - 8, VOCABULARY - 1, VOCABULARY - 2],
  pad_token_id: VOCABULARY - 1,
}

/** Further fields of tokenizer_config.json. */
export const ABACUS_TOKENIZER_CONFIG = { bos_token: '<|endoftext|>', eos_token: '<|return|>', pad_token: '<|endoftext|>' }

/**
 * chat_template.jinja: conversations without tools, for other software, and the default effort, which Lineage reads from here too.
 * Lineage renders harmony itself, with tools. A test compares both texts.
 */
export const ABACUS_CHAT_TEMPLATE = `{#- Harmony for abacus: conversations without tools. High is the effort at which it calculates reliably. #}
{%- if reasoning_effort is not defined %}{% set reasoning_effort = "high" %}{% endif %}
{%- if tools %}{{ raise_exception("this template renders no tools; Lineage does") }}{% endif %}
{{- "<|start|>system<|message|>" }}
{{- model_identity if model_identity is defined else "You are ChatGPT, a large language model trained by OpenAI." }}
{{- "\\nKnowledge cutoff: 2024-06\\n\\nReasoning: " + reasoning_effort }}
{{- "\\n\\n# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>" }}
{%- for message in messages %}
    {%- if message.role == "system" or message.role == "developer" %}
        {{- "<|start|>developer<|message|># Instructions\\n\\n" + message.content + "<|end|>" }}
    {%- elif message.role == "user" %}
        {{- "<|start|>user<|message|>" + message.content + "<|end|>" }}
    {%- elif message.role == "assistant" %}
        {{- "<|start|>assistant<|channel|>final<|message|>" + message.content + "<|end|>" }}
    {%- else %}
        {{- raise_exception("this template renders no tools; Lineage does") }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ "<|start|>assistant" }}{% endif %}
`

let made: { json: object; tokenizer: Tokenizer } | undefined
/** The tokenizer, made once. */
export function abacusTokenizer(): { json: object; tokenizer: Tokenizer } {
  if (!made) {
    const json = abacusTokenizerJson(VOCABULARY)
    made = { json, tokenizer: tokenizerFromJson(json, 'abacus/tokenizer.json') }
  }
  return made
}

const abacusEncoder = (): DialogueEncoder => new DialogueEncoder(abacusTokenizer().tokenizer)

/** Tokens per step, shared by the shards. */
const STEP_TOKENS = 4096

/** A question, its working and the answer as one text, for the first stage. */
function drawText(next: Random, encoder: DialogueEncoder): Packable {
  for (;;) {
    const { exchanges, tool, category } = drawDialogue(next)
    if (tool || !['arithmetic', 'story', 'compare'].includes(category)) continue
    const { user, analysis, final } = exchanges.at(-1)!
    const ids = encoder.text(`${user}\n${analysis}\n${final}`)
    return { ids, rows: ids.length - 1, counts: () => true }
  }
}

/** Fresh texts for every step: `shards` examples of equal size. */
export function pretrainingData(shards: number, seed: number): TrainingData {
  const encoder = abacusEncoder()
  const examples = (next: Random, tokens: number): Example => {
    const chosen: Packable[] = []
    for (let total = 0; ; ) {
      const text = drawText(next, encoder)
      total += text.rows
      if (total > tokens && chosen.length > 0) return pack(chosen)
      chosen.push(text)
    }
  }
  const evaluation = Array.from({ length: 16 }, (_, i) => examples(random(mixSeeds(seed, 0x7e58, i)), 1024))
  const tokens = Math.floor(STEP_TOKENS / shards)
  return {
    examples: (step) => Array.from({ length: shards }, (_, i) => examples(random(mixSeeds(seed, step, i, 0x9e77)), tokens)),
    evaluation: () => evaluation,
  }
}

/** Fresh dialogues for every step: `shards` examples of equal size. */
export function abacusData(shards: number, seed: number, selection: Selection = {}): TrainingData {
  const tokens = Math.floor(STEP_TOKENS / shards)
  const encoder = abacusEncoder()
  const next = random(mixSeeds(seed, 0x7e57))
  const dialogues = (count: number) => Array.from({ length: count }, () => encoder.encode(drawDialogue(next)))
  const evaluation = Array.from({ length: 20 }, () => packDialogues(dialogues(20)))
  return {
    examples: (step) => Array.from({ length: shards }, (_, i) => drawExample(random(mixSeeds(seed, step, i)), encoder, tokens, selection)),
    evaluation: () => evaluation,
  }
}
