// The request on the page as programs that send it. A token is never written out.
const path = (call) => (call.inputs ? "/question-answering" : "/ask");
const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export const snippets = {
  curl: (base, call, token) =>
    `curl ${base}${path(call)} -H 'content-type: application/json' \\\n${token ? "  -H \"authorization: Bearer $POTSTILL_TOKEN\" \\\n" : ""}  -d ${shell(JSON.stringify(call))}`,
  // A JSON string of ASCII alone is also a Python string.
  python: (base, call, token) => {
    const quoted = (text) =>
      JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
    const text = (value) => (/[\ud800-\udfff]/.test(value) ? `json.loads(${quoted(quoted(value))})` : quoted(value));
    if (call.model || !call.inputs) { // the client has no word for it
      const fields = ['"content-type": "application/json"'];
      if (token) fields.push('"authorization": "Bearer " + os.environ["POTSTILL_TOKEN"]');
      return [
        `import json${token ? "\nimport os" : ""}\nimport urllib.request\n`,
        `call = json.loads(${quoted(JSON.stringify(call))})`,
        `request = urllib.request.Request(${quoted(base + path(call))}, json.dumps(call).encode(), {`,
        ...fields.map((field) => `    ${field},`),
        "})",
        "print(json.load(urllib.request.urlopen(request)))",
      ].join("\n");
    }
    const { question, context } = call.inputs;
    const lines = [
      "from huggingface_hub import InferenceClient",
      "",
      `client = InferenceClient(${quoted(base)}${token ? ', token=os.environ["POTSTILL_TOKEN"]' : ""})`,
      "print(client.question_answering(",
      `    question=${text(question)},`,
      `    context=${text(context)},`,
      `    top_k=${call.parameters.top_k},`,
      `    max_answer_len=${call.parameters.max_answer_len},`,
      `    handle_impossible_answer=${call.parameters.handle_impossible_answer ? "True" : "False"},`,
      "))",
    ];
    const program = lines.join("\n");
    const imports = ["json.loads", "os.environ"].filter((name) => program.includes(name));
    return imports.map((name) => `import ${name.split(".")[0]}\n`).join("") + program;
  },
  javascript: (base, call, token) =>
    [
      `const answer = await fetch(${JSON.stringify(base + path(call))}, {`,
      `  method: "POST",`,
      `  headers: { "content-type": "application/json"${token ? ", authorization: `Bearer ${process.env.POTSTILL_TOKEN}`" : ""} },`,
      `  body: JSON.stringify(${JSON.stringify(call)}),`,
      "});",
      "console.log(await answer.json());",
    ].join("\n"),
};
