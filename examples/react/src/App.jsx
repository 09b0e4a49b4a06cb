import { useState } from "react";

import { useReader } from "./useReader.js";

const TEXT =
  "Most malt whisky is distilled in copper pot stills. The column still, which works without a pause, was " +
  "patented in 1830 by Aeneas Coffey, a former excise officer.";

export function App() {
  const { reader, progress, error } = useReader("./reader/");
  const [text, setText] = useState(TEXT);
  const [question, setQuestion] = useState("Who patented the column still?");
  const [said, setSaid] = useState(null);

  async function ask(event) {
    event.preventDefault();
    setSaid({ waiting: true });
    try {
      setSaid({ text, answer: await reader.predict(question, text) });
    } catch (failure) {
      setSaid({ failure: failure.message });
    }
  }

  return (
    <main>
      <textarea aria-label="Text" rows={6} cols={70} value={text} onChange={(event) => setText(event.target.value)} />
      <form onSubmit={ask}>
        <input aria-label="Question" size={50} value={question} onChange={(event) => setQuestion(event.target.value)} />
        <button disabled={!reader || said?.waiting}>Ask</button>
      </form>
      {error && <p role="alert">{error.message}</p>}
      {!reader && !error && <progress value={progress} />}
      {said?.failure && <p role="alert">{said.failure}</p>}
      {said?.text && <Answer {...said} />}
    </main>
  );
}

/** The text with its answer marked. */
function Answer({ text, answer }) {
  if (!answer) return <p>The text does not say.</p>;
  return (
    <p>
      {text.slice(0, answer.start)}
      <mark title={`${Math.round(100 * answer.score)}%`}>{answer.text}</mark>
      {text.slice(answer.end)}
    </p>
  );
}
