/**
 * Published chat templates with random conversations, against the text of transformers: `scripts/oracles/chat_templates.py` writes the
 * cases. Compares the engine alone and what a checkpoint with this template sends to the model.
 * Run: node bench/templates.ts cases.json [part of a template's name] [--built-in]
 * With --built-in the format is the one that a checkpoint gets, which may be a family's own writer.
 */
import { readFileSync } from 'node:fs'
import { formatFor } from '../src/chat/formats/format.ts'
import { templateFormat } from '../src/chat/formats/template.ts'
import { ChatError, type Message, type RenderOptions } from '../src/chat/messages.ts'
import { readJson } from '../src/json/lossless.ts'
import { byteTokenizerJson } from '../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../src/tokenizer/tokenizer-json.ts'

interface Cases {
  conversations: { messages: Message[]; options: RenderOptions }[]
  templates: Record<string, { template: string; results: { text?: string; error?: string }[] }>
}

const MARKERS = ['<s>', '</s>', '<|im_start|>', '<|im_end|>', '[INST]', '[/INST]', '<|eot_id|>', '<end_of_turn>', '<|endoftext|>']
const TAGS = ['<think>', '</think>', '<tool_call>', '</tool_call>', '<tool_response>', '</tool_response>']

const builtIn = process.argv.includes('--built-in')
const [path = 'cases.json', part = ''] = process.argv.slice(2).filter((arg) => !arg.startsWith('--'))
const { conversations, templates } = readJson(readFileSync(path, 'utf8')) as Cases
const tokenizer = tokenizerFromJson(
  JSON.parse(JSON.stringify(byteTokenizerJson([...MARKERS, ...TAGS.map((content) => ({ content, special: false }))]))),
  'tokenizer.json',
)
const total = { equal: 0, adapted: 0, different: 0, refusedHere: 0, refusedThere: 0, bothRefuse: 0, byName: 0 }
let whole = 0
for (const [name, { template, results }] of Object.entries(templates)) {
  if (!name.includes(part)) continue
  const source = { tokenizer, chatTemplate: template, bosToken: '<s>', eosToken: '</s>' }
  const format = builtIn ? formatFor(source) : templateFormat(tokenizer, source)
  const own = { ...total }
  let shown = 0
  for (const [i, { messages, options }] of conversations.entries()) {
    const { text, error } = results[i]!
    let got: string | undefined
    let problem = ''
    let byName = false
    let notes = 0
    try {
      got = tokenizer.decode(format.render(messages, options, () => notes++))
    } catch (thrown) {
      problem = (thrown as Error).message
      byName = thrown instanceof ChatError && thrown.field === 'tools'
    }
    const kind: keyof typeof total = byName
      ? 'byName'
      : got === text
        ? text === undefined
          ? 'bothRefuse'
          : 'equal'
        : got === undefined
          ? 'refusedHere'
          : text !== undefined
            ? 'different'
            : notes > 0
              ? 'adapted'
              : 'refusedThere'
    total[kind]++
    if (['different', 'refusedHere', 'refusedThere'].includes(kind) && shown++ < (part === '' ? 1 : 5)) {
      const at = [...(got ?? '')].findIndex((_, at) => got![at] !== text?.[at])
      console.log(`  ${name} ${i} ${kind} ${problem}${error ?? ''}`)
      if (kind === 'different')
        console.log(
          `    here  ${JSON.stringify(got!.slice(Math.max(at - 60, 0), at + 60))}\n    there ${JSON.stringify(text!.slice(Math.max(at - 60, 0), at + 60))}`,
        )
    }
  }
  const bad = (['different', 'refusedHere', 'refusedThere'] as const).reduce((sum, kind) => sum + total[kind] - own[kind], 0)
  if (bad === 0) whole++
  else console.log(`${name}: ${bad} of ${results.length} differ`)
  if (total.byName > own.byName) console.log(`${name}: tools refused`)
}
console.log(
  `${whole} of ${Object.keys(templates).filter((name) => name.includes(part)).length} templates give the same text in every conversation`,
  total,
)
