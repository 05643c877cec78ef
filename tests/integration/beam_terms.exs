# A BEAM that is asked about terms: elixir --erl "-noinput" -pa EBIN beam_terms.exs ADAPTER APP_DIR
#
# Each frame on stdin is a term in external form, which begins with 131. The answer is a tuple in
# external form: what the term is written as here, what Bridge.Msgpack makes of it, and what comes
# back when a real bridge echoes it. Whatever fails is {:error, message}. Any other frame is Elixir
# to run; the answer is :ok. End of input: the VM ends.
[adapter, app_dir] = System.argv()

defmodule Asked do
  def answer(<<131, _::binary>> = data, client) do
    term = :erlang.binary_to_term(data)
    written = :erlang.term_to_binary(term, minor_version: 1)
    {written, packed(term), echoed(client, term)}
  rescue
    error in ArgumentError -> {:error, Exception.message(error)}
  end

  def answer(source, _client) do
    Code.eval_string(source)
    :ok
  rescue
    error -> {:error, Exception.message(error)}
  end

  defp packed(term) do
    case Bridge.Msgpack.encode(term) do
      {:ok, iodata} -> {:ok, IO.iodata_to_binary(iodata)}
      {:error, error} -> {:error, error.message}
    end
  end

  defp echoed(client, term) do
    # by name: a list that holds only {:ok, 1} would be taken for names itself
    case Bridge.call(client, "echo", %{"value" => term}) do
      {:ok, result} -> {:ok, result}
      {:error, error} -> {:error, error.message}
    end
  end
end

{:ok, client} = Bridge.start_link(adapter: adapter, app_dir: app_dir)
port = Port.open({:fd, 0, 1}, [:binary, :eof, {:packet, 4}])

loop = fn loop ->
  receive do
    {^port, {:data, data}} ->
      Port.command(port, :erlang.term_to_binary(Asked.answer(data, client), minor_version: 1))
      loop.(loop)

    {^port, :eof} ->
      Bridge.stop(client)
  end
end

loop.(loop)
