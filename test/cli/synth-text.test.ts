import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { configFromJson } from '../../src/architecture/config-json.ts'
import { presets } from '../../src/architecture/presets.ts'
import { formatFor } from '../../src/chat/formats/format.ts'
import { formatFiles } from '../../src/chat/formats/format-files.ts'
import { synthTextFiles } from '../../src/cli/support/synth-text.ts'
import { tokenizerFiles } from '../../src/tokenizer/files.ts'

const published: Record<string, [string, number][]> = {
  gpt2: [['<|endoftext|>', 50256]],
  gpt_oss: [
    ['<|endoftext|>', 199999],
    ['<|return|>', 200002],
    ['<|constrain|>', 200003],
    ['<|channel|>', 200005],
    ['<|start|>', 200006],
    ['<|end|>', 200007],
    ['<|message|>', 200008],
    ['<|call|>', 200012],
  ],
  qwen2: [
    ['<|endoftext|>', 151643],
    ['<|im_end|>', 151645],
    ['<tool_call>', 151657],
    ['<|file_sep|>', 151664],
  ],
  qwen3: [
    ['<|endoftext|>', 151643],
    ['<|im_start|>', 151644],
    ['<|im_end|>', 151645],
    ['<|video_pad|>', 151656],
    ['<tool_call>', 151657],
    ['</tool_call>', 151658],
    ['<|file_sep|>', 151664],
    ['<tool_response>', 151665],
    ['</tool_response>', 151666],
    ['<think>', 151667],
    ['</think>', 151668],
  ],
}
const formats: Record<string, string> = { gpt_oss: 'harmony', qwen3: 'qwen', qwen3_moe: 'qwen', qwen3_vl_text: 'qwen' }

/** One preset of every kind of model and size of vocabulary. */
const kinds = new Map(presets.map((preset) => [`${preset.config.model_type} with ${preset.config.vocab_size} ids`, preset]))

describe('a synthetic checkpoint has a tokenizer and a chat format', () => {
  for (const [kind, preset] of kinds) {
    test(kind, async () => {
      const architecture = configFromJson(preset.config, preset.name)
      const { modelType, vocabSize, bosTokenId } = architecture
      const files = new Map(synthTextFiles(architecture)).set('config.json', JSON.stringify(preset.config))
      const read = async (name: string) => {
        const text = files.get(name)
        return text === undefined ? undefined : new TextEncoder().encode(text)
      }
      const tokenizer = await tokenizerFiles(read)
      assert.equal(tokenizer.vocabSize, vocabSize)
      for (const [spelling, id] of published[modelType.replace('_moe', '')] ?? []) assert.equal(tokenizer.specials.get(spelling), id)
      const text = 'Tell me, what is 12 × 7?\n\t<|start|>💖\u0000'
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text)
      assert.ok(tokenizer.encode(text).every((id) => !tokenizer.isSpecial(id)))
      // Every id that a random model writes has bytes of its own.
      const spelled = new Set<string>()
      for (let id = 0; id < vocabSize; id++) spelled.add(Buffer.from(tokenizer.bytes(id)).toString('latin1'))
      assert.equal(spelled.size, vocabSize)
      const startsTexts = /^(llama|mistral|mixtral|gemma|deepseek|jamba)/.test(modelType)
      assert.deepEqual(tokenizer.prefix ?? [], startsTexts ? [bosTokenId] : [])

      const format = formatFor(await formatFiles(read, tokenizer))
      assert.equal(format.name, formats[modelType] ?? 'plain')
      for (const id of architecture.eosTokenIds) {
        assert.ok(format.stopIds.includes(id), `${id} ends an answer`)
        assert.ok(tokenizer.isSpecial(id), `${id} is a special token`)
      }
      const ids = format.render([{ role: 'user', content: 'Hello' }], {})
      assert.ok(ids.length >= 5 && ids.every((id) => id < vocabSize))
    })
  }
})

test('single characters of byte-level vocabularies have their published ids', async () => {
  const { modelType, vocabSize, bosTokenId } = configFromJson(presets.find(({ name }) => name === 'gpt-oss-20b')!.config, 'gpt-oss-20b')
  const { model } = JSON.parse(synthTextFiles({ modelType, vocabSize, bosTokenId }).get('tokenizer.json')!)
  // As GPT-2, o200k and Qwen have them.
  assert.deepEqual([model.vocab['!'], model.vocab['0'], model.vocab.Ċ, model.vocab.Ġ], [0, 15, 198, 220])
})
