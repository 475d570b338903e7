/** The bodies of the endpoints for embedding and reranking models: OpenAI's, Ollama's, vLLM's, and those of Cohere and Jina. */
import { z } from 'zod'
import * as common from './common.ts'

const ids = z
  .array(common.int32(0))
  .min(1)
  .max(2 ** 20)
const MOST_TEXTS = 2048
const texts = z.array(z.string()).min(1).max(MOST_TEXTS)

const instruction = {
  input_type: z
    .enum(['query', 'document', 'search_query', 'search_document', 'passage'])
    .nullish()
    .describe('A query is put under an instruction, as the model was trained; a document, and a text without this field, is not.'),
  instruction: z.string().max(4096).nullish().describe('The task in one sentence. Default for queries: web search.'),
}
const dimensions = z.int().min(1).max(65_536).nullish().describe('Keep so many first numbers, scaled to length 1 again.')

/** Ollama's clients send the options of a model with every request. Those of drawing do not change a vector. */
const options = z.record(z.string(), z.unknown()).nullish()

export const embeddingsRequest = z.looseObject({
  model: common.modelName,
  input: z.union([z.string(), texts, ids, z.array(ids).min(1).max(MOST_TEXTS)]),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions,
  ...instruction,
  user: z.string().max(512).nullish(),
})

export const ollamaEmbedRequest = z.looseObject({
  model: common.modelName,
  input: z.union([z.string(), z.array(z.string()).max(MOST_TEXTS)]),
  truncate: z.boolean().nullish().describe('Cut texts that are too long. Default true.'),
  dimensions,
  ...instruction,
  options,
  keep_alive: z.union([z.string().max(32), z.number()]).nullish(),
})

export const ollamaEmbeddingsRequest = z.looseObject({
  model: common.modelName,
  prompt: z.string().nullish(),
  options,
  keep_alive: z.union([z.string().max(32), z.number()]).nullish(),
})

const document = z.union([z.string(), z.looseObject({ text: z.string() })])
const documents = z.array(document).min(1).max(MOST_TEXTS)

export const rerankRequest = z.looseObject({
  model: common.modelName.nullish(),
  query: z.string(),
  documents: documents.nullish(),
  texts: texts.nullish().describe('The documents, in the form of text-embeddings-inference; the answer is a list.'),
  top_n: common.int32(1).nullish(),
  return_documents: z.boolean().nullish(),
  return_text: z.boolean().nullish(),
  instruction: instruction.instruction,
})

export const scoreRequest = z.looseObject({
  model: common.modelName.nullish(),
  text_1: z.union([z.string(), texts]).nullish(),
  text_2: z.union([z.string(), texts]).nullish(),
  queries: z.union([z.string(), texts]).nullish(),
  documents: z.union([z.string(), texts]).nullish(),
  instruction: instruction.instruction,
})

export type EmbeddingsRequest = z.infer<typeof embeddingsRequest>
export type RerankDocument = z.infer<typeof document>
