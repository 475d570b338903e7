/** Claims about prompts, checked on the text that the chat formats render. Every character is an id here, because only the text matters. */
import { systemText } from '../chat/formats/harmony/prompt.ts'
import { type QwenKind, qwenFormat } from '../chat/formats/qwen/qwen.ts'
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { claimsOf, exactly, published } from './claim.ts'
import { EFFORT } from './published/tables.ts'

const characters: Tokenizer = {
  vocabSize: 0x110000,
  specials: new Map(),
  encode: (text) => Array.from(text, (character) => character.codePointAt(0)!),
  encodeTemplate: (text) => Array.from(text, (character) => character.codePointAt(0)!),
  decode: (ids) => String.fromCodePoint(...ids),
  bytes: (id) => new TextEncoder().encode(String.fromCodePoint(id)),
  isSpecial: () => false,
  stream: () => ({ push: (id) => String.fromCodePoint(id), end: () => '' }),
}

/** The prompt of one question in a release of Qwen3. */
function ask(thinking: QwenKind['thinking'], on: boolean): string {
  const format = qwenFormat(characters, { thinking, tools: 'json' })
  return characters.decode(format.render([{ role: 'user', content: 'Why?' }], { thinking: on }))
}

const show = (text: string): string => JSON.stringify(text).slice(1, -1)

export const promptClaims = claimsOf('run', [
  {
    id: 'C47',
    says: 'A reasoning effort in the system message controls the length and accuracy of answers.',
    verdict: 'imprecise',
    note: 'The words the models were trained on are "Reasoning: low", "medium" and "high", not "Reasoning effort". Length and accuracy are those of the model card; lineage eval abacus --effort low,medium,high measures them for the embedded model. More is not always better.',
    check: () => {
      const line = (effort?: string) =>
        systemText({ effort })
          .split('\n')
          .find((each) => each.startsWith('Reasoning'))!
      const rising = (values: readonly number[]): boolean => values.every((value, i) => i === 0 || value > values[i - 1]!)
      return [
        exactly('line of the system message', line('low'), 'Reasoning: low'),
        exactly('… by default', line(), 'Reasoning: medium'),
        ...published(
          EFFORT,
          exactly(
            'models and tasks on which accuracy rises with each effort',
            EFFORT.rows.filter(({ accuracy }) => rising(accuracy)).length,
            4,
          ),
          exactly('… and the length of the reasoning', EFFORT.rows.filter(({ tokens }) => rising(tokens)).length, 4),
          exactly('tasks on which high is worse than medium for 20b', EFFORT.worse.filter(({ medium, high }) => high < medium).length, 2),
        ),
      ]
    },
  },
  {
    id: 'C49',
    says: 'Switching thinking off in Qwen3 only adds an empty block of thought to the prompt.',
    verdict: 'holds',
    check: () => {
      const [thinking, silent] = [ask('switch', true), ask('switch', false)]
      return [
        exactly('what the prompt gains', show(silent.slice(thinking.length)), show('<think>\n\n</think>\n\n')),
        exactly('what stands before it', show(silent.slice(0, thinking.length)), show(thinking)),
      ]
    },
  },
  {
    id: 'C50',
    says: 'The Qwen3 revisions of July 2025 gave up the hybrid: one model thinks always, the other never.',
    verdict: 'holds',
    note: 'The prompt of the thinking one already opens the thought, so its answers hold the closing tag only.',
    check: () => [
      exactly('end of the prompt, Thinking-2507', show(ask('always', true).slice(-30)), show('<|im_start|>assistant\n<think>\n')),
      exactly('end of the prompt, Instruct-2507', show(ask('never', true).slice(-22)), show('<|im_start|>assistant\n')),
      exactly(
        'switching off in Instruct-2507',
        ask('never', false) === ask('never', true) ? 'changes nothing' : 'changes the prompt',
        'changes nothing',
      ),
    ],
  },
])
