/**
 * Writes test/fixtures/family-chat.json: what the published chat templates of the families allow, as the code reads them. Development only;
 * docs/families.md shows the result.
 *     node scripts/oracles/family-chat.ts DIRECTORY   # of *.jinja files, such as models/templates of ggml-org/llama.cpp
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { familyOf } from '../../src/architecture/families.ts'
import { findPreset } from '../../src/architecture/presets.ts'
import { formatFor } from '../../src/chat/formats/format.ts'
import type { Message } from '../../src/chat/messages.ts'
import { byteTokenizer } from '../../test/chat/byte-tokenizer.ts'
import { root } from '../sources.ts'

export interface FamilyChat {
  modelType: string
  repository: string
  /** sha256 of the template. */
  template: string
  tools: 'several calls' | 'one call' | 'no'
  system: 'yes' | 'in the first user message' | 'no'
  thinking: 'levels' | 'switch' | 'always' | 'never'
}

/** Template file -> published model. Copies that differ from what was published are left out (QwQ, R1-Distill-Qwen, SmolLM3). */
const TEMPLATES: Record<string, string> = {
  'openai-gpt-oss-120b': 'openai/gpt-oss-120b',
  'Qwen-Qwen2.5-7B-Instruct': 'Qwen/Qwen2.5-7B-Instruct',
  'Qwen-Qwen3-0.6B': 'Qwen/Qwen3-0.6B',
  'Qwen3-Coder': 'Qwen/Qwen3-Coder-30B-A3B-Instruct',
  'meta-llama-Llama-3.1-8B-Instruct': 'meta-llama/Llama-3.1-8B-Instruct',
  'meta-llama-Llama-3.2-3B-Instruct': 'meta-llama/Llama-3.2-3B-Instruct',
  'meta-llama-Llama-3.3-70B-Instruct': 'meta-llama/Llama-3.3-70B-Instruct',
  'deepseek-ai-DeepSeek-R1-Distill-Llama-8B': 'deepseek-ai/DeepSeek-R1-Distill-Llama-8B',
  'mistralai-Mistral-Nemo-Instruct-2407': 'mistralai/Mistral-Nemo-Instruct-2407',
  'Mistral-Small-3.2-24B-Instruct-2506': 'mistralai/Mistral-Small-3.2-24B-Instruct-2506',
  'google-gemma-2-2b-it': 'google/gemma-2-2b-it',
  'ibm-granite-granite-3.3-2B-Instruct': 'ibm-granite/granite-3.3-2b-instruct',
}
const MARKERS = /<[|｜][^|｜<>\n]+[|｜]>|\[\/?[A-Z_]{3,}\]|<\/?(?:s|start_of_turn|end_of_turn|bos|eos)>/g

const rows = Object.entries(TEMPLATES).map(([file, repository]): FamilyChat => {
  const chatTemplate = readFileSync(join(process.argv[2]!, `${file}.jinja`), 'utf8')
  const { config } = findPreset(repository)!
  const modelType = String(config.model_type)
  const family = familyOf(modelType)!
  const special = family.specialTokens({ modelType, vocabSize: Number(config.vocab_size) })
  const texts = Object.values(family.textTokens ?? {}).map((content) => ({ content, special: false }))
  const others = [...chatTemplate.matchAll(MARKERS)].map(([marker]) => marker)
  // R1's tokenizers have these two tokens, those of the families do not.
  if (repository.includes('R1')) texts.push(...['<think>', '</think>'].map((content) => ({ content, special: false })))
  const known = new Map<string, string | { content: string; special: boolean }>()
  for (const token of [...Object.values(special), ...others, ...texts]) known.set(typeof token === 'string' ? token : token.content, token)
  const tokenizer = byteTokenizer([...known.values()])
  const has = (token: string) => (known.has(token) ? token : undefined)
  const format = formatFor({ tokenizer, chatTemplate, bosToken: has('<s>') ?? has('<bos>') ?? '', eosToken: has('</s>') ?? '' })
  const conversation: Message[] = [
    { role: 'system', content: 'Answer in Greek.' },
    { role: 'user', content: 'What is rain?' },
  ]
  let adapted = false
  let system: FamilyChat['system'] = 'yes'
  try {
    const text = tokenizer.decode(
      format.render(conversation, { currentDate: '2025-01-02' }, () => {
        adapted = true
      }),
    )
    system = !text.includes('Answer in Greek.') ? 'no' : adapted ? 'in the first user message' : 'yes'
  } catch {
    system = 'no'
  }
  const { tools, parallelToolCalls, reasoning } = format.capabilities
  return {
    modelType,
    repository,
    template: createHash('sha256').update(chatTemplate).digest('hex'),
    tools: tools ? (parallelToolCalls ? 'several calls' : 'one call') : 'no',
    system,
    thinking: reasoning,
  }
})
writeFileSync(join(root, 'test/fixtures/family-chat.json'), `${JSON.stringify(rows, null, 1)}\n`)
