/**
 * The names of `tokenizer.ggml.pre` and the splitting expressions that they stand for, those of the published tokenizer.json files.
 * Expressions are applied one after the other: each splits the pieces of the one before, and what it does not match is a piece too.
 * Source of the names: llama.cpp's src/llama-vocab.cpp.
 */

export interface PreTokenizer {
  readonly patterns: readonly string[]
  /** A piece that is an entry of the vocabulary needs no merges. */
  readonly ignoreMerges?: boolean
  /** Whether a file without `add_bos_token` begins every text with the BOS token. */
  readonly addBos?: boolean
  /** Entries are spelled in characters with ▁ for a space, not in bytes. */
  readonly characters?: boolean
}

const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
/** The expression of cl100k and its descendants, which differ in how many digits make a piece. */
const words = (digits: string) =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const LLAMA3 = words(String.raw`\p{N}{1,3}`)
const QWEN2 = words(String.raw`\p{N}`)
const QWEN35 = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const [UPPER, LOWER] = [String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`]
/** The expression of o200k: a capital begins a piece. */
const cased = (digits: string, suffix: string) =>
  String.raw`[^\r\n\p{L}\p{N}]?${UPPER}*${LOWER}+${suffix}|[^\r\n\p{L}\p{N}]?${UPPER}+${LOWER}*${suffix}|${digits}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
const O200K = cased(String.raw`\p{N}{1,3}`, `(?i:'s|'t|'re|'ve|'m|'ll|'d)?`)
const TEKKEN = cased(String.raw`\p{N}`, '')
const CHINESE = '[一-龥ࠀ-一가-퟿]+'
/** Letters that have cases, as DeepSeek's first tokenizer lists them. */
const CASED_LETTERS = [
  'A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF',
  '\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5',
  '\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA',
  '\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45',
  '\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE',
  '\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102',
  '\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139',
  '\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3',
  '\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06',
  '\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\u{104D8}-\u{104FB}',
  '\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}',
].join('')
const DEEPSEEK3 = [
  String.raw`\p{N}{1,3}`,
  '[一-龥\u3040-ゟ゠-ヿ]+',
  String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${'`'}{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
]

const DIGITS: PreTokenizer = { patterns: [String.raw`\p{N}`, GPT2] }
const LLAMA3_RULES: PreTokenizer = { patterns: [LLAMA3], ignoreMerges: true, addBos: true }

/** By the name in the file. */
export const PRE_TOKENIZERS: Readonly<Record<string, PreTokenizer>> = {
  default: { patterns: [String.raw`[\p{P}\$\+<=>\^~\|]+`, GPT2, String.raw`\p{N}+`, '[0-9][0-9][0-9]'] },
  ...named(
    { patterns: [GPT2] },
    'gpt-2',
    'phi-2',
    'mpt',
    'olmo',
    'jais',
    'trillion',
    'granite-docling',
    'exaone4',
    'modern-bert',
    'mellum',
  ),
  ...named({ patterns: [GPT2] }, 'gigachat', 'a.x-4.0', 'jina-es', 'jina-de', 'jina-v2-es', 'jina-v2-de'),
  ...named(DIGITS, 'starcoder', 'refact', 'command-r', 'smollm', 'codeshell', 'exaone', 'minerva-7b', 'mellum2'),
  ...named(LLAMA3_RULES, 'llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'falcon-h1', 'pixtral', 'midm-2.0', 'lfm2'),
  ...named({ patterns: [LLAMA3] }, 'dbrx', 'smaug-bpe', 'chatglm-bpe'),
  ...named({ patterns: [LLAMA3], ignoreMerges: true }, 'glm4', 'glm5'),
  ...named(
    { patterns: [QWEN2] },
    'qwen2',
    'deepseek-r1-qwen',
    'megrez',
    'stablelm2',
    'hunyuan',
    'solar-open',
    'grok-2',
    'kormo',
    'f2llmv2',
  ),
  qwen35: { patterns: [QWEN35] },
  ...named({ patterns: [O200K] }, 'gpt-4o', 'llama4', 'kanana2', 'talkie', 'minimax-m2'),
  tekken: { patterns: [TEKKEN], ignoreMerges: true, addBos: true },
  ...named({ patterns: DEEPSEEK3 }, 'deepseek-v3', 'hunyuan-dense', 'joyai-llm', 'hy_v4'),
  'deepseek-llm': {
    patterns: [
      '[\r\n]',
      String.raw`\s?[${CASED_LETTERS}]+`,
      String.raw`\s?[!-/:-~！-／：-～‘-‟\u3000-。]+`,
      String.raw`\s+$`,
      CHINESE,
      String.raw`\p{N}+`,
    ],
  },
  'deepseek-coder': { patterns: ['[\r\n]', String.raw`\s?\p{L}+`, String.raw`\s?\p{P}+`, CHINESE, String.raw`\p{N}`] },
  falcon: { patterns: [String.raw`[\p{P}\$\+<=>\^~\|${'`'}]+`, GPT2, '[0-9][0-9][0-9]'] },
  ...named({ patterns: [String.raw`[^\n]+|[\n]+`], characters: true, addBos: true }, 'gemma4'),
}

function named(rules: PreTokenizer, ...names: string[]): Record<string, PreTokenizer> {
  return Object.fromEntries(names.map((name) => [name, rules]))
}
