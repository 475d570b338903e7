/**
 * Dialogues -> training examples: harmony ids, and the rows whose next token counts (the text of the assistant).
 * An example holds several dialogues, each with its own slot and positions.
 */
import { renderHarmony, renderHarmonyForTraining } from '../../chat/formats/harmony/harmony.ts'
import type { HarmonyMessage } from '../../chat/formats/harmony/message.ts'
import { developerText, systemText } from '../../chat/formats/harmony/prompt.ts'
import type { Random } from '../../random/stream.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { pack } from '../data/pack.ts'
import type { Example } from '../shard.ts'
import { type Dialogue, drawDialogue, IDENTITY, type Source } from './dialogues.ts'

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

  /** A text with the end that separates texts. */
  text(text: string): number[] {
    return [...this.#tokenizer.encode(text), this.#tokenizer.specials.get('<|endoftext|>')!]
  }

  #remembered(message: HarmonyMessage): number[] {
    const key = `${message.role}\0${message.content}`
    let made = this.#known.get(key)
    if (!made) this.#known.set(key, (made = renderHarmony(this.#tokenizer, [message])))
    return made
  }
}

/** One example of these dialogues. The last id of each is only a target. */
export const packDialogues = (dialogues: readonly EncodedDialogue[]): Example =>
  pack(dialogues.map(({ ids, counts }) => ({ ids, rows: ids.length - 1, counts: (i) => counts[i + 1] })))

export interface Selection {
  /** Of exchanges among the usual ones. */
  source?: Source
  /** Whether a dialogue is taken. */
  takes?: (dialogue: Dialogue) => boolean
}

/** Draws dialogues until an example holds `tokens` ids. */
export function drawExample(next: Random, encoder: DialogueEncoder, tokens: number, { source, takes }: Selection = {}): Example {
  const chosen: EncodedDialogue[] = []
  let total = 0
  for (;;) {
    const drawn = drawDialogue(next, source)
    if (takes && !takes(drawn)) continue
    const dialogue = encoder.encode(drawn)
    total += dialogue.ids.length - 1
    if (total > tokens && chosen.length > 0) return packDialogues(chosen)
    chosen.push(dialogue)
  }
}
