/**
 * Prompts against Jinja2, the interpreter that chat templates are written for (test/fixtures/templates.json, made by
 * scripts/oracles/templates.py): Qwen3's published template against our renderer, templates of our own against `templateFormat`.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import { templateFormat } from '../../src/chat/formats/template.ts'
import type { Message, RenderOptions } from '../../src/chat/messages.ts'
import { byteTokenizer, qwenSpecials } from './byte-tokenizer.ts'

interface Case {
  template: string
  name: string
  messages: Message[]
  options: RenderOptions
  text?: string
  error?: string
}

/** Refused by Jinja2, and rendered after a change that is reported. */
const ADAPTED = ['instructions in the middle', 'twice the same role']

const file = new URL('../fixtures/templates.json', import.meta.url)
const { templates, cases } = JSON.parse(readFileSync(file, 'utf8')) as { templates: Record<string, string>; cases: Case[] }
const tokenizer = byteTokenizer(['<s>', '</s>', ...qwenSpecials])
const formatOf = (name: string) =>
  name === 'Qwen3'
    ? qwenFormat(tokenizer, { thinking: 'switch', tools: 'json' })
    : templateFormat(tokenizer, { chatTemplate: templates[name]!, bosToken: '<s>', eosToken: '</s>' })

for (const name of ['Qwen3', ...Object.keys(templates)]) {
  const own = cases.filter(({ template }) => template === name)
  test(`${name}: ${own.length} prompts of Jinja2`, async (t) => {
    assert.ok(own.length >= 12)
    const format = formatOf(name)
    for (const { name, messages, options, text, error } of own)
      await t.test(name, () => {
        const notes: string[] = []
        const render = () => format.render(messages, options, (note) => notes.push(note))
        if (error && !ADAPTED.includes(name)) assert.throws(render, { name: 'ChatError', message: new RegExp(error) })
        else if (error) {
          render()
          assert.match(notes.join(), /refuses such a conversation/)
        } else {
          assert.equal(tokenizer.decode(render()), text)
          assert.deepEqual(notes, [])
        }
      })
  })
}
