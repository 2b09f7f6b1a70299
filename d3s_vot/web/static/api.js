// Talking to the server: JSON in and out, errors as one sentence.

const SILENT = "the server does not answer; start d3s-vot web again and load this page anew";

export class ServerError extends Error {
  constructor(text, status) {
    super(text);
    this.status = status; // 0: no answer
  }
}

function failure(status, text) {
  try {
    return new ServerError(JSON.parse(text).error, status);
  } catch {
    return new ServerError(`the server failed (${status}); its terminal tells more`, status);
  }
}

export async function request(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new ServerError(SILENT, 0);
  }
  if (!answer.ok) throw failure(answer.status, await answer.text());
  return answer;
}

export async function call(method, path, body) {
  return (await request(method, path, body)).json();
}

// XMLHttpRequest, since fetch does not tell how much it has sent.
export function upload(file, onProgress) {
  return new Promise((resolve, reject) => {
    const sender = new XMLHttpRequest();
    sender.open("POST", `/api/video?name=${encodeURIComponent(file.name)}`);
    sender.setRequestHeader("Content-Type", "application/octet-stream");
    sender.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    sender.onload = () => {
      if (sender.status === 201) resolve(JSON.parse(sender.responseText).video);
      else reject(failure(sender.status, sender.responseText));
    };
    sender.onerror = () => reject(new ServerError("the video could not be sent; try it again", 0));
    sender.send(file);
  });
}
