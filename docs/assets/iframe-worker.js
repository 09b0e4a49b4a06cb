// The site's search asks a worker, and a page that is read from disk may start none. There, this
// runs the worker's script in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    #frame = document.createElement("iframe");
    #ready;

    constructor(address) {
      super();
      this.#frame.hidden = true;
      document.body.append(this.#frame);
      const inside = this.#frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...urls) =>
        urls.reduce((before, url) => before.then(() => load(inside, url)), Promise.resolve());
      this.#ready = load(inside, new URL(address, location).href);
    }

    postMessage(data) {
      const inside = this.#frame.contentWindow;
      this.#ready.then(() => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
    }

    terminate() {
      this.#frame.remove();
    }
  };
}

function load(inside, src) {
  return new Promise((resolve, reject) => {
    const script = inside.document.createElement("script");
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${src} cannot be read`));
    script.src = src;
    inside.document.head.append(script);
  });
}
