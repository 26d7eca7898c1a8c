// The calls of the clients from npm; clients.py starts this file, beside their packages, and explains its lines.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, generateObject, generateText, stepCountIs, streamText, tool, Output } from "ai";
import { z } from "zod";

const at = JSON.parse(process.argv[3]);
const model = "smollm2-135m";
const ada = "Ada is 36 years old. Her name and age as JSON with the keys name and age.";
const rain = "What is the weather in Paris? Use the tool.";
const person = z.object({ name: z.string(), age: z.number().int() });
const question = "What is the capital of France?";
const hello = [{ role: "user", content: question }];
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const weather = { name: "weather", description: "The weather in a city now.", parameters: city };

function* openai() {
  const client = new OpenAI({ baseURL: at.url, apiKey: "none", maxRetries: 0 });
  const chat = (more) => client.chat.completions.create({ model, messages: hello, max_tokens: 200, ...more });
  const message = async (more) => (await chat(more)).choices[0].message;
  const asked = { messages: [{ role: "user", content: rain }], tools: [{ type: "function", function: weather }] };
  const respond = (more) => client.responses.create({ model, input: question, max_output_tokens: 200, ...more });
  yield ["chat", async () => (await message()).content];
  yield ["chat streamed with usage", async () => {
    let last;
    for await (const chunk of await chat({ stream: true, stream_options: { include_usage: true } })) last = chunk;
    return last.usage;
  }];
  yield ["chat parse (zod)", async () => (await client.chat.completions.parse({
    model, messages: [{ role: "user", content: ada }], max_tokens: 200, response_format: zodResponseFormat(person, "person"),
  })).choices[0].message.parsed];
  yield ["chat tool required", async () => (await message({ ...asked, tool_choice: "required" })).tool_calls[0]];
  yield ["chat runTools", async () => client.chat.completions.runTools({
    model, max_tokens: 200, messages: asked.messages,
    tools: [{ type: "function", function: { ...weather, function: () => "12 degrees and rain.", parse: JSON.parse } }],
  }, { maxChatCompletions: 3 }).done().then(() => true)];
  yield ["Responses", async () => (await respond()).output_text];
  yield ["Responses streamed", async () => (await client.responses.stream({ model, input: question }).finalResponse()).usage];
  yield ["embeddings", async () => (await client.embeddings.create({ model, input: ["a"] })).data[0].embedding.length];
}

function* ai(of, embedding) {
  const ask = { model: of, maxOutputTokens: 200, maxRetries: 0 };
  const rainfall = tool({ description: weather.description, inputSchema: z.object({ city: z.string() }), execute: () => "rain" });
  yield ["generateText", async () => (await generateText({ ...ask, prompt: question })).text];
  yield ["streamText with usage", async () => {
    let fault;
    const result = streamText({ ...ask, prompt: question, onError: ({ error }) => { fault = error; } });
    for await (const _ of result.textStream);
    if (fault) throw fault;
    return (await result.usage).outputTokens;
  }];
  yield ["generateObject", async () => (await generateObject({ ...ask, schema: person, prompt: ada })).object];
  yield ["Output.object", async () => (await generateText({ ...ask, output: Output.object({ schema: person }), prompt: ada })).output];
  yield ["tool required", async () => (await generateText({
    ...ask, prompt: rain, tools: { weather: rainfall }, toolChoice: "required" })).toolResults[0].output];
  yield ["tool auto, steps", async () => (await generateText({
    ...ask, prompt: rain, tools: { weather: rainfall }, stopWhen: stepCountIs(3) })).steps];
  if (embedding) yield ["embed", async () => (await embed({ model: embedding, value: "a", maxRetries: 0 })).embedding.length];
}

const own = createOpenAI({ baseURL: at.url, apiKey: "none" });
const like = createOpenAICompatible({ name: "local", baseURL: at.url, includeUsage: true, supportsStructuredOutputs: true });
const clients = {
  "openai": openai(),
  "ai @ai-sdk/openai": ai(own(model), own.embedding(model)),
  "ai @ai-sdk/openai .chat()": ai(own.chat(model)),
  "ai @ai-sdk/openai-compatible": ai(like(model), like.embeddingModel(model)),
};
for (const [client, calls] of Object.entries(clients)) {
  for (const [call, ask] of calls) {
    const told = { call, client, result: "works" };
    await fetch(`${at.root}/health`); // what the server recorded last is now no call of a client
    try {
      if (!(await ask())) told.result = "fails: it got nothing";
    } catch (fault) {
      told.result = `fails: ${fault.name}: ${fault.message.slice(-200)}`;
    }
    told.exchange = await (await fetch(`${at.root}/practice/exchange`)).json();
    console.log(JSON.stringify(told));
  }
}
