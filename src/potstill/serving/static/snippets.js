// The request on the page as programs that send it.
const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export const snippets = {
  curl: (base, call) =>
    `curl ${base}/question-answering -H 'content-type: application/json' \\\n  -d ${shell(JSON.stringify(call))}`,
  // A JSON string of ASCII alone is also a Python string.
  python: (base, call) => {
    const quoted = (text) =>
      JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
    const text = (value) => (/[\ud800-\udfff]/.test(value) ? `json.loads(${quoted(quoted(value))})` : quoted(value));
    const { question, context } = call.inputs;
    const lines = [
      "from huggingface_hub import InferenceClient",
      "",
      `client = InferenceClient(${quoted(base)})`,
      "print(client.question_answering(",
      `    question=${text(question)},`,
      `    context=${text(context)},`,
      `    top_k=${call.parameters.top_k},`,
      `    max_answer_len=${call.parameters.max_answer_len},`,
      "))",
    ];
    return (lines.join("\n").includes("json.loads") ? "import json\n" : "") + lines.join("\n");
  },
  javascript: (base, call) =>
    [
      `const answer = await fetch(${JSON.stringify(`${base}/question-answering`)}, {`,
      `  method: "POST",`,
      `  headers: { "content-type": "application/json" },`,
      `  body: JSON.stringify(${JSON.stringify(call)}),`,
      "});",
      "console.log(await answer.json());",
    ].join("\n"),
};
