/**
 * Dialogues -> training examples: harmony ids, and the rows whose next token counts (the text of the assistant).
 * An example holds several dialogues, each with its own slot and positions.
 */
import { renderHarmony, renderHarmonyForTraining } from '../../chat/formats/harmony/harmony.ts'
import type { HarmonyMessage } from '../../chat/formats/harmony/message.ts'
import { developerText, systemText } from '../../chat/formats/harmony/prompt.ts'
import type { Random } from '../../random/stream.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import type { Example } from '../shard.ts'
import { type Dialogue, drawDialogue, IDENTITY } from './dialogues.ts'

/** A dialogue in ids; `counts[i]`: whether ids[i] is to be learned. */
export interface EncodedDialogue {
  category: string
  effort: string
  ids: number[]
  counts: boolean[]
}

export class DialogueEncoder {
  readonly #tokenizer: Tokenizer
  readonly #known = new Map<string, number[]>()

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer
  }

  encode(dialogue: Dialogue): EncodedDialogue {
    const { effort, tool, identity, date, instructions, exchanges } = dialogue
    const own = { ...(identity === 'own' ? { identity: IDENTITY, knowledgeCutoff: null } : {}), currentDate: date || undefined }
    const ids: number[] = []
    const counts: boolean[] = []
    let afterAssistant = false
    const say = (message: HarmonyMessage, last: boolean, remember = false) => {
      const assistant = message.role === 'assistant'
      const made = remember
        ? this.#remembered(message)
        : last
          ? renderHarmonyForTraining(this.#tokenizer, [message])
          : renderHarmony(this.#tokenizer, [message])
      made.forEach((id, i) => {
        ids.push(id)
        // The prompt holds the first <|start|>assistant of a turn; the model begins further messages itself.
        counts.push(assistant && (afterAssistant || i >= 2))
      })
      afterAssistant = assistant
    }
    say({ role: 'system', content: systemText({ ...own, effort, functions: tool !== null }) }, false, date === '')
    if (instructions !== '' || tool)
      say({ role: 'developer', content: developerText(instructions, tool ? [{ name: 'functions', tools: [tool] }] : []) }, false, true)
    exchanges.forEach(({ user, analysis, call, final }, i) => {
      const last = i === exchanges.length - 1
      say({ role: 'user', content: user }, false)
      // Finished turns keep only their final answer, as harmony renders them.
      if (last && analysis !== '') say({ role: 'assistant', channel: 'analysis', content: analysis }, false)
      if (last && call) {
        const content = `{"expression":"${call.expression}"}`
        say(
          { role: 'assistant', channel: 'commentary', recipient: 'functions.calculator', contentType: '<|constrain|>json', content },
          false,
        )
        say({ role: 'tool', name: 'functions.calculator', recipient: 'assistant', channel: 'commentary', content: call.result }, false)
      }
      say({ role: 'assistant', channel: 'final', content: final }, last)
      if (!last) afterAssistant = false
    })
    return { category: dialogue.category, effort, ids, counts }
  }

  #remembered(message: HarmonyMessage): number[] {
    const key = `${message.role}\0${message.content}`
    let made = this.#known.get(key)
    if (!made) this.#known.set(key, (made = renderHarmony(this.#tokenizer, [message])))
    return made
  }
}

/** Dialogues one after another in one example. */
export function pack(dialogues: readonly EncodedDialogue[]): Example {
  const T = dialogues.reduce((sum, { ids }) => sum + ids.length - 1, 0)
  const batch = { ids: new Int32Array(T), slots: new Int32Array(T), positions: new Int32Array(T) }
  const rows: number[] = []
  const targets: number[] = []
  let t = 0
  dialogues.forEach(({ ids, counts }, slot) => {
    for (let i = 0; i + 1 < ids.length; i++, t++) {
      batch.ids[t] = ids[i]!
      batch.slots[t] = slot
      batch.positions[t] = i
      if (counts[i + 1]) {
        rows.push(t)
        targets.push(ids[i + 1]!)
      }
    }
  })
  return { batch, rows: Int32Array.from(rows), targets: Int32Array.from(targets) }
}

/** Draws dialogues until an example holds `tokens` ids. */
export function drawExample(next: Random, encoder: DialogueEncoder, tokens: number): Example {
  const chosen: EncodedDialogue[] = []
  let total = 0
  for (;;) {
    const dialogue = encoder.encode(drawDialogue(next))
    total += dialogue.ids.length - 1
    if (total > tokens && chosen.length > 0) return pack(chosen)
    chosen.push(dialogue)
  }
}
